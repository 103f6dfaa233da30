// Devices and links as this device sees them: itself in the middle, peers around it, and a list that says the same.

import { byId, clean, h, keep, onWidth, s, setText, timer } from "./dom.js";
import { row, rows } from "./stream.js";

const PEERS_MAX = 12;
const LISTED_MAX = 50;
const STATES = { "in contact": "in", fading: "fading", "not in contact": "away" };
let width = 0;

export function startMap() {
  onWidth(byId("map"), (found) => {
    width = found;
    drawMap();
  });
}

export function peersInOrder() {
  return rows("peers").sort((a, b) => b.connected - a.connected || (b.last_at ?? 0) - (a.last_at ?? 0)
    || (a.name ?? "").localeCompare(b.name ?? "") || a.device.localeCompare(b.device));
}

export const nameOf = (device) => {
  const own = row("device");
  if (own?.device === device) return own.name;
  return row("peers", device)?.name || device.slice(0, 8);
};

export function drawMap() {
  const own = row("device");
  if (!own || !width) return;
  const peers = peersInOrder();
  const drawn = peers.slice(0, PEERS_MAX);
  const height = (width < 480 ? 200 : 250) + (drawn.length > 2 ? 60 : 0);
  const middle = { x: width / 2, y: height / 2 - 6 };
  const reach = { x: Math.min(width / 2 - 64, 300), y: height / 2 - 62 };
  const places = drawn.map((peer, at) => {
    // Left and right first: names stand beneath, and two devices are most often side by side.
    const turn = Math.PI * (drawn.length === 1 ? 0 : -0.5 + (drawn.length === 2 ? 0.5 : 0) + (2 * at) / drawn.length);
    return { peer, x: middle.x + reach.x * Math.cos(turn), y: middle.y + reach.y * Math.sin(turn) };
  });
  const radius = drawn.length > 6 ? 22 : 28;
  const picture = s("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": summary(own, peers) });
  for (const { peer, x, y } of places) picture.append(...link(middle, { x, y }, peer));
  for (const { peer, x, y } of places) picture.append(device(peer.device, peer.name || peer.device.slice(0, 8), x, y, radius, STATES[peer.state]));
  picture.append(device(own.device, own.name, middle.x, middle.y, 34, own.radio === "on" ? "own" : "own silent"));
  byId("map").replaceChildren(picture);
}

function summary(own, peers) {
  const near = peers.filter((peer) => peer.connected).map((peer) => peer.name || peer.device.slice(0, 8));
  const who = near.length ? `in contact with ${near.slice(0, PEERS_MAX).join(", ")}` : "in contact with nobody";
  return clean(`${own.name} is ${who}; ${peers.length - near.length} known devices are away.`);
}

function link(from, to, peer) {
  const kind = STATES[peer.state];
  const line = { x1: from.x, y1: from.y, x2: to.x, y2: to.y };
  const found = [s("line", { ...line, class: `edge ${kind}` })];
  if (kind === "in") found.push(s("line", { ...line, class: "edge flow" }));
  return found;
}

function device(id, name, x, y, radius, kind) {
  const held = row("custody", id) ?? {};
  const [asleep, busy] = [held.dormant ?? 0, (held.attempting ?? 0) + (held.awake ?? 0)];
  const group = s("g", { class: `device ${kind}`, transform: `translate(${x} ${y})` });
  group.append(s("circle", { r: radius, class: "disc" }));
  if (busy) group.append(s("circle", { r: radius + 5, class: "busy" }));
  if (asleep || busy) {
    group.append(s("path", { d: MOON, class: "moon", transform: `translate(${-12 - String(Math.min(asleep, 1000)).length * 4} -7)` }),
      s("text", { class: "count", x: 6, y: 5 }, asleep > 999 ? "999+" : asleep));
  }
  const short = name.length > 14 ? name.slice(0, 13) + "…" : name;
  group.append(s("text", { class: "label", y: radius + 19 }, short));
  return group;
}

const MOON = "M9 0a7 7 0 1 0 5 12A6 6 0 0 1 9 0z";

export function drawDevices() {
  const peers = peersInOrder();
  const own = row("device");
  const self = { device: own.device, name: own.name, state: "this device", connected: true, capabilities: own.capabilities };
  keep(byId("devices"), [self, ...peers.slice(0, LISTED_MAX)], (peer) => peer.device, () =>
    h("li", {}, h("span", { class: "mark", "aria-hidden": "true" }), h("span", { class: "n" }), h("span", { class: "state" }),
      h("span", { class: "quiet caps" })),
  (node, peer) => {
    node.className = STATES[peer.state] ?? "own";
    setText(node.children[1], peer.name || peer.device.slice(0, 8));
    const words = peer.connected ? [peer.state] : [peer.state, ", last heard ", timer(peer.last_at, "ago")];
    if (node.dataset.word !== `${peer.state} ${peer.last_at}`) node.children[2].replaceChildren(...words);
    node.dataset.word = `${peer.state} ${peer.last_at}`;
    setText(node.children[3], [custodyOf(peer.device), peer.capabilities.length ? `can ${peer.capabilities.join(", ")}` : ""]
      .filter(Boolean).join(" · "));
  });
  const more = byId("devices-more");
  more.hidden = peers.length > 0 && peers.length <= PEERS_MAX;
  setText(more, !peers.length ? "No other device is known yet. Let one in: edge-runtime grant." : `The picture has the first ${PEERS_MAX} of ${peers.length} devices${peers.length > LISTED_MAX ? `, the list ${LISTED_MAX}` : ""}; edge-runtime peers has all.`);
}

function custodyOf(device) {
  const held = row("custody", device);
  if (!held) return "";
  const words = ["attempting", "awake", "dormant"].filter((status) => held[status]).map((status) => `${held[status]} ${status}`);
  return words.length ? `turns ${words.join(", ")}` : "";
}

