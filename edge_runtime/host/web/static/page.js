// Starts the page: what to draw when which part of the picture changed.

import { byId, clean, duration, h, keep, serverNow, setText, tick } from "./dom.js";
import { drawBoard, drawNext, drawReasons, startBoard } from "./board.js";
import { drawContacts, startContacts } from "./contacts.js";
import { drawHistory, startHistory } from "./history.js";
import { drawDevices, drawMap, startMap } from "./map.js";
import { choose, row, rows, state, watch } from "./stream.js";

const REDRAW_MS = 10_000; // pictures with an open end
const object = () => decodeURIComponent(location.hash.match(/^#object=(.{1,200})$/)?.[1] ?? "");
let near = null;

function open(id) {
  if (object() === id) byId("one-title").focus();
  location.hash = `object=${encodeURIComponent(id)}`;
}

function follow(isFirst = false) {
  const id = object();
  choose(id);
  drawBoard(id);
  if (!id) drawHistory();
  if (!isFirst && id) byId("one-title").focus();
}

function drawTop() {
  const own = row("device");
  if (!own) return;
  setText(byId("name"), own.name);
  document.title = clean(`${own.name} – edge-runtime`);
  setText(byId("fleet"), `${own.device.slice(0, 12)} in ${own.fleets.map((fleet) => fleet.name).join(", ") || "no fleet"}${own.capabilities.length ? `, can ${own.capabilities.join(", ")}` : ""}`);
  const pills = [
    ["radio", own.radio === "on" ? "radio on" : "radio off", own.radio === "on" ? "good" : "warn"],
    own.held && ["held", "held: no new effects", "warn"],
    own.revoked > 0 && ["revoked", `${own.revoked} devices revoked`, "warn"],
    own.steps_running > 0 && ["steps", `${own.steps_running} ${own.steps_running === 1 ? "step runs" : "steps run"}`, "good"],
    own.hung_threads > 0 && ["hung", `${own.hung_threads} steps never came back`, "bad"],
    own.apps_failed?.length > 0 && ["apps", `${own.apps_failed.length} apps not loaded`, "bad"],
    own.storage?.takes_in === false && ["storage", "takes nothing in", "bad"],
  ].filter(Boolean);
  keep(byId("pills"), pills, ([key]) => key, () => h("li", {}), (node, [, word, kind]) => {
    node.className = kind;
    setText(node, word);
  });
}

function drawLink() {
  document.body.classList.toggle("lost", !state.isLive && state.heardAt > 0);
  const word = state.isLive ? "live" : state.heardAt ? "lost" : "connecting";
  byId("link").className = `link ${word}`;
  setText(byId("link-word"), word === "lost" ? `lost, as of ${new Date(Date.now() - performance.now() + state.heardAt).toLocaleTimeString()}` : word);
  const own = row("device");
  const trouble = [
    word === "lost" ? `This device does not answer. What stands here is as it was ${duration(performance.now() - state.heardAt)} ago; the page tries again by itself.` : "",
    state.isLive && state.trouble, own?.trouble, own?.storage?.reason, ...(own?.apps_failed ?? []),
  ].filter(Boolean);
  byId("trouble").hidden = !trouble.length;
  setText(byId("trouble"), trouble.join(" "));
}

function sayContacts() {
  const now = new Map(rows("peers").map((peer) => [peer.device, peer.connected]));
  const words = near ? rows("peers").filter((peer) => near.has(peer.device) && near.get(peer.device) !== peer.connected)
    .map((peer) => `${peer.name ?? peer.device.slice(0, 8)} is ${peer.state}.`) : [];
  if (words.length) setText(byId("said"), words.slice(0, 3).join(" "));
  near = now;
}

function draw(changed, isLinkChanged) {
  document.body.classList.remove("waiting");
  const is = (...names) => names.some((name) => changed.has(name));
  if (isLinkChanged || is("device")) drawTop();
  if (is("device", "peers", "custody")) {
    drawMap();
    drawDevices();
    sayContacts();
  }
  if (is("device", "objects", "due", "peers")) {
    drawBoard();
    drawReasons();
    drawNext();
  }
  if (is("contacts", "peers")) drawContacts();
  if (is("chosen", "trace")) drawHistory();
  if (isLinkChanged || is("device") || state.trouble) drawLink();
}

startMap();
startBoard(open);
startContacts();
startHistory();
addEventListener("hashchange", () => follow());
follow(true);
watch(draw);
setInterval(() => {
  tick();
  if (!state.isLive && state.heardAt) drawLink();
}, 1_000);
setInterval(() => {
  if (!state.isLive || document.hidden || !serverNow()) return;
  drawContacts();
  drawHistory();
}, REDRAW_MS);
