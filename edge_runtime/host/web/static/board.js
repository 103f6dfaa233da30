// Objects by status, why those sleep that sleep, and which are looked at next.

import { byId, h, keep, serverNow, setText, timer } from "./dom.js";
import { nameOf } from "./map.js";
import { row, rows } from "./stream.js";

const STATUSES = ["attempting", "awake", "dormant", "ended"];
const WORDS = {
  attempting: "a step runs now", awake: "about to go on", dormant: "asleep until something happens", ended: "done, one way or another",
};
const STEP = 6; // cards that a button adds; the server gives more when these are used up
const REASONS_MAX = 8;
const NEXT_MAX = 6;
const SLEEPS_LONG_MS = 7 * 86_400_000;
const limits = Object.fromEntries(STATUSES.map((status) => [status, STEP]));
const fetched = Object.fromEntries(STATUSES.map((status) => [status, new Map()]));
let onOpen = () => {};
let opened = "";

export function startBoard(open) {
  onOpen = open;
  byId("board").append(...STATUSES.map((status) =>
    h("section", { class: `column ${status}`, "aria-labelledby": `column-${status}` },
      h("h3", { id: `column-${status}` }, h("span", { class: "sign", "aria-hidden": "true" }), `${status} `, h("b", { class: "number" }, "0")),
      h("p", { class: "quiet small" }, WORDS[status]), h("ul", { id: `cards-${status}` }),
      moreButton(status))));
}

function moreButton(status) {
  const button = h("button", { type: "button", class: "more", id: `more-${status}`, hidden: true });
  button.addEventListener("click", () => showMore(status));
  return button;
}

function cardsOf(status) {
  const live = rows("objects").filter((item) => item.status === status);
  const found = new Map(live.map((item) => [item.object, item]));
  for (const [id, item] of fetched[status]) {
    const now = row("objects", id);
    if (!found.has(id) && (!now || now.status === status)) found.set(id, item);
  }
  return [...found.values()].sort((a, b) => b.n - a.n);
}

async function showMore(status) {
  limits[status] += STEP * 2;
  const had = cardsOf(status);
  if (had.length < limits[status] && had.length < totalOf(status)) {
    const answer = await fetch(`/api/objects?status=${status}&most=100&before=${had.at(-1)?.n ?? 0}`);
    if (answer.ok) for (const item of await answer.json()) fetched[status].set(item.object, item);
  }
  drawBoard();
}

const totalOf = (status) => row("device")?.objects[status] ?? 0;

export function drawBoard(open = opened) {
  opened = open;
  const focused = document.activeElement?.closest?.("#board li")?.dataset.key;
  for (const status of STATUSES) {
    const cards = cardsOf(status);
    const total = Math.max(totalOf(status), 0);
    setText(byId(`column-${status}`).querySelector(".number"), total);
    const shown = cards.slice(0, limits[status]);
    keep(byId(`cards-${status}`), shown, (item) => item.object, makeCard, fillCard);
    if (!shown.length) byId(`cards-${status}`).replaceChildren(h("li", { class: "none", "data-key": "none" }, "none"));
    const more = byId(`more-${status}`);
    more.hidden = total <= shown.length;
    setText(more, `Show more of ${status} (${total - shown.length})`);
  }
  // A card that went to another column takes the focus with it.
  if (focused && !document.activeElement?.closest("#board")) byId("board").querySelector(`li[data-key="${focused}"] button`)?.focus();
}

function makeCard(item) {
  const button = h("button", { type: "button", class: "card" }, h("span", { class: "n" }), h("span", { class: "quiet id" }),
    h("span", { class: "reason" }), h("span", { class: "quiet foot" }));
  button.addEventListener("click", () => onOpen(item.object));
  return h("li", {}, button);
}

function fillCard(node, item) {
  const [button] = node.children;
  const [name, id, reason, foot] = button.children;
  setText(name, item.name ?? item.intent);
  setText(id, item.name ? item.intent : item.object.slice(0, 8));
  const end = item.end && item.end !== item.reason ? `${item.end}: ${item.reason ?? ""}` : item.reason;
  setText(reason, end ?? "");
  button.className = `card ${item.end ?? ""}`;
  if (item.object === opened) button.setAttribute("aria-current", "true");
  else button.removeAttribute("aria-current");
  const word = `${nameOf(item.custodian)} ${item.due_at}`;
  if (foot.dataset.word === word) return;
  foot.dataset.word = word;
  foot.replaceChildren(`with ${nameOf(item.custodian)}`, ...(isSoon(item) ? [" · looks ", timer(item.due_at, "in")] : []));
}

const isSoon = (item) => item.due_at !== null && item.status === "dormant" && item.due_at - serverNow() < SLEEPS_LONG_MS;

export function drawReasons() {
  const found = (row("device")?.dormant_by_reason ?? []).slice(0, REASONS_MAX);
  const most = Math.max(1, ...found.map((item) => item.objects));
  const list = byId("reasons");
  keep(list, found, (item) => item.reason, () => h("li", {}, h("b", { class: "number" }), h("span", { class: "what" }),
    h("span", { class: "bar", "aria-hidden": "true" }, h("i", {}))), (node, item) => {
    setText(node.children[0], item.objects);
    setText(node.children[1], item.reason || "no reason is known");
    node.children[2].firstChild.style.width = `${(100 * item.objects) / most}%`;
  });
  if (!found.length) list.replaceChildren(h("li", { class: "none" }, "Nothing sleeps here."));
}

export function drawNext() {
  const soon = rows("due").filter(isSoon)
    .sort((a, b) => a.due_at - b.due_at).slice(0, NEXT_MAX);
  const list = byId("next");
  keep(list, soon, (item) => item.object, (item) => {
    const button = h("button", { type: "button", class: "plain" });
    button.addEventListener("click", () => onOpen(item.object));
    return h("li", {}, h("span", { class: "when" }), h("span", {}, button, h("span", { class: "quiet because" })));
  }, (node, item) => {
    const [when, what] = node.children;
    if (when.dataset.word !== String(item.due_at)) when.replaceChildren(timer(item.due_at, "in"));
    when.dataset.word = item.due_at;
    setText(what.children[0], item.name ?? `${item.intent} ${item.object.slice(0, 8)}`);
    setText(what.children[1], ` ${item.reason ?? ""}`);
  });
  if (!soon.length) list.replaceChildren(h("li", { class: "none" }, "Nothing is due by time: something else must happen first."));
}
