// Contacts over time: a lane for each peer, a bar for each contact, and the same as a table.

import { byId, bytes, clean, duration, h, keep, onWidth, s, serverNow, setText, timer } from "./dom.js";
import { nameOf } from "./map.js";
import { rows } from "./stream.js";

const LANES_MAX = 8;
const ROWS_MAX = 50;
const LANE = 34;
const LEFT = 112;
const SPAN_MS_MIN = 60_000;
let width = 0;

export function startContacts() {
  onWidth(byId("contact-lanes"), (found) => {
    width = found;
    drawContacts();
  });
}

const endOf = (item) => (item.lasted_ms === null ? serverNow() : item.started_at + item.lasted_ms);

export function drawContacts() {
  if (!width) return;
  const found = rows("contacts").sort((a, b) => b.started_at - a.started_at);
  const place = byId("contact-lanes");
  if (!found.length) {
    place.replaceChildren(h("p", { class: "none" }, "No contact yet. Devices of one fleet find each other on the LAN by themselves."));
    return;
  }
  const lanes = [...new Set(found.map((item) => item.device))];
  const drawn = lanes.slice(0, LANES_MAX);
  const now = serverNow();
  const from = Math.min(now - SPAN_MS_MIN, ...found.map((item) => item.started_at));
  const left = width < 480 ? 78 : LEFT;
  const x = (at) => left + ((width - left - 12) * (at - from)) / (now - from);
  const height = drawn.length * LANE + 30;
  const picture = s("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": summary(found, lanes) });
  for (const part of width < 480 ? [0, 0.5, 1] : [0, 0.25, 0.5, 0.75, 1]) {
    const at = from + part * (now - from);
    picture.append(s("line", { class: "grid", x1: x(at), x2: x(at), y1: 4, y2: height - 24 }),
      s("text", { class: "axis", x: x(at), y: height - 6, "text-anchor": part === 0 ? "start" : part === 1 ? "end" : "middle" },
        part === 1 ? "now" : `${duration(now - at)} ago`));
  }
  for (const [at, device] of drawn.entries()) {
    const y = 6 + at * LANE;
    const name = nameOf(device);
    picture.append(s("text", { class: "lane-name", x: 0, y: y + 18 }, name.length > (left - 10) / 8 ? name.slice(0, (left - 18) / 8) + "…" : name));
    for (const item of found.filter((one) => one.device === device).reverse()) {
      const [begin, end] = [x(item.started_at), x(endOf(item))];
      const bar = s("rect", { class: `contact ${item.lasted_ms === null ? "open" : ""}`, x: begin, y: y + 4, height: 18, rx: 4,
        width: Math.max(3, end - begin) });
      bar.append(s("title", {}, `${name}, ${duration(endOf(item) - item.started_at)}, ${bytes(item.bytes_in)} in, ${bytes(item.bytes_out)} out${item.reason ? `, ended: ${item.reason}` : ", open"}`));
      picture.append(bar);
    }
  }
  place.replaceChildren(picture, ...(lanes.length > drawn.length
    ? [h("p", { class: "quiet" }, `And ${lanes.length - drawn.length} more peers: edge-runtime contacts has all.`)] : []));
  drawRows(found.slice(0, ROWS_MAX));
}

function summary(found, lanes) {
  const open = found.filter((item) => item.lasted_ms === null).map((item) => nameOf(item.device));
  return clean(`${found.length} contacts with ${lanes.length} peers; open now: ${open.join(", ") || "none"}. The table has each.`);
}

function drawRows(found) {
  keep(byId("contact-rows"), found, (item) => `${item.device} ${item.at_ms}`, (item) =>
    h("tr", {}, h("th", { scope: "row" }), h("td", {}, timer(item.started_at, "ago")), h("td", {}), h("td", {}), h("td", {}), h("td", {})),
  (node, item) => {
    setText(node.children[0], nameOf(item.device));
    setText(node.children[2], item.lasted_ms === null ? "still open" : duration(item.lasted_ms));
    setText(node.children[3], bytes(item.bytes_in));
    setText(node.children[4], bytes(item.bytes_out));
    setText(node.children[5], item.reason ?? "");
  });
}
