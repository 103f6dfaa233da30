// The picture of one object's history: a lane for each device, sleep as bars, steps as dots, custody as arrows.

import { byId, clean, duration, onWidth, s, serverNow } from "./dom.js";
import { say } from "./records.js";

const DRAWN_MAX = 120; // newest records; the list has more
const LANE = 52;
const LABEL = 76;
const TOP = 8;
let last = null;
let width = 0;

export function startLanes() {
  onWidth(byId("lanes"), (found) => {
    width = found;
    if (last) drawLanes(...last);
  });
}

// Time is drawn in steps that grow with its logarithm: a millisecond and a month fit one picture.
const stepOf = (ms) => 13 + 15 * Math.log10(1 + Math.max(0, ms) / 40);

export function drawLanes(show, records) {
  last = [show, records];
  if (!width) return;
  const drawn = records.slice(-DRAWN_MAX);
  const lanes = [...new Set(drawn.map((record) => record.device))];
  const xs = [];
  let x = 16;
  let had = null; // the record drawn last that has a place of its own
  for (const record of drawn) {
    if (had && !minor(record)) x += had.entry === record.entry ? 17 : stepOf(record.age_ms - had.age_ms) + (had.kind === "dormant" ? 28 : 0);
    if (!minor(record)) had = record;
    xs.push(x);
  }
  const isOpen = show.status !== "ended";
  const end = isOpen ? x + stepOf(serverNow() - show.made_at - (had?.age_ms ?? 0)) + 30 : x + 24;
  const room = width - LABEL - 26;
  const stretch = Math.min(2.2, Math.max(1, room / end));
  const place = (value) => value * stretch;
  const height = TOP + lanes.length * LANE;
  const total = Math.max(room, Math.ceil(place(end)) + 8);
  const y = (device) => TOP + lanes.indexOf(device) * LANE + 18;
  const picture = s("svg", { viewBox: `0 0 ${total} ${height}`, width: total, height, role: "img",
    "aria-label": `History of ${show.name ?? show.intent} over ${lanes.length} devices; the list below says the same in words.` });
  const names = s("svg", { viewBox: `0 0 ${LABEL} ${height}`, width: LABEL, height, "aria-hidden": "true" });
  for (const device of lanes) {
    const name = drawn.find((record) => record.device === device).device_name;
    const most = Math.floor(LABEL / 8.4);
    picture.append(s("line", { class: "lane", x1: 0, x2: total, y1: y(device), y2: y(device) }));
    names.append(s("text", { class: "lane-name", x: 0, y: y(device) + 5 }, name.length > most ? name.slice(0, most - 1) + "…" : name));
  }
  const marks = [];
  for (const [at, record] of drawn.entries()) {
    const [sign, text] = say(record);
    const [px, py] = [place(xs[at]), y(record.device)];
    const said = clean(`${record.device_name}, ${text}`);
    if (record.kind === "dormant") {
      const next = drawn.findIndex((one, index) => index > at && !minor(one));
      const until = next > 0 ? place(xs[next]) - 9 : place(end);
      const ms = (next > 0 ? drawn[next].age_ms : serverNow() - show.made_at) - record.age_ms;
      picture.append(sleep(px - 6, py, Math.max(10, until - px + 6), ms, said, next < 0));
    } else if (record.kind === "accepted" || record.kind === "claimed") {
      const from = drawn.slice(0, at).findLastIndex((one) => one.kind === "offered");
      if (from >= 0 && drawn[from].device !== record.device) picture.append(hand(place(xs[from]), y(drawn[from].device), px, py));
    }
    if (!minor(record) && record.kind !== "dormant") marks.push(mark(sign, px, py, said));
  }
  picture.append(...marks);
  const [left, box] = byId("lanes").children;
  const isAtEnd = box.scrollLeft + box.clientWidth >= box.scrollWidth - 40;
  left.replaceChildren(names);
  box.replaceChildren(picture);
  if (isAtEnd) box.scrollLeft = box.scrollWidth;
  // Only what scrolls needs the keyboard.
  if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  else box.removeAttribute("tabindex");
}

// What only says with which call the body went on is drawn with the waking before it.
const minor = (record) => record.kind === "took" || record.kind === "cannot" || record.kind === "denied";

function sleep(x, y, w, ms, said, isOpen) {
  const group = s("g", { class: `sleep ${isOpen ? "open" : ""}` }, s("title", {}, said),
    s("rect", { x, y: y - 9, width: w, height: 18, rx: 9 }));
  const text = duration(ms);
  if (w > text.length * 6.5 + 14) group.append(s("text", { x: x + w / 2, y: y + 4, "text-anchor": "middle" }, text));
  return group;
}

function hand(x1, y1, x2, y2) {
  const bend = (y2 - y1) / 2;
  return s("path", { class: "hand", d: `M${x1} ${y1} C${x1} ${y1 + bend} ${x2} ${y2 - bend} ${x2} ${y2}` });
}

const SHAPES = {
  made: () => s("path", { d: "M0-8 2.3-2.6 8-2.2 3.6 1.6 5 7.4 0 4.3-5 7.4-3.6 1.6-8-2.2-2.3-2.6z" }),
  woke: () => s("path", { d: "M0-8 7 5H-7z" }),
  tried: () => s("path", { d: "M-5-5 5 5M5-5-5 5", class: "stroke" }),
  offered: () => s("path", { d: "M-5-6 5 0-5 6z" }),
  accepted: () => s("path", { d: "M-7 0 0-7 7 0 0 7z" }),
  ended: () => s("path", { d: "M-7-7h14v14h-14z" }),
  failed: () => s("path", { d: "M-7-7h14v14h-14z" }),
};

function mark(sign, x, y, said) {
  const shape = (SHAPES[sign] ?? (() => s("circle", { r: sign === "done" ? 6.5 : 4 })))();
  return s("g", { class: `sign ${sign}`, transform: `translate(${x} ${y})` }, s("title", {}, said), shape);
}

export const KEY = [["made", "made"], ["done", "step done"], ["tried", "tried in vain"], ["slept", "asleep"], ["woke", "woke"],
  ["offered", "offered"], ["accepted", "taken over"], ["ended", "ended"], ["failed", "failed"]];

export function keySign(sign) {
  const picture = s("svg", { width: 26, height: 18, viewBox: "-13 -9 26 18", "aria-hidden": "true" });
  picture.append(sign === "slept" ? s("g", { class: "sleep" }, s("rect", { x: -12, y: -6, width: 24, height: 12, rx: 6 })) : mark(sign, 0, 0, sign));
  return picture;
}
