// One object: what it waits for and why, its picture, and its records in words.

import { byId, clean, duration, h, keep, setText, shown, timer } from "./dom.js";
import { KEY, drawLanes, keySign, startLanes } from "./lanes.js";
import { isGood, say, stepName } from "./records.js";
import { row, rows } from "./stream.js";

const STEP = 30;
const WAITS_MAX = 12;
const HINT = byId("one-hint").textContent.replace(/\s+/g, " ");
let most = STEP;
let of = "";

export function startHistory() {
  startLanes();
  byId("lane-key").append(...KEY.map(([sign, word]) => h("li", {}, keySign(sign), word)));
  byId("earlier").addEventListener("click", () => {
    most += STEP * 2;
    drawHistory();
  });
}

export function drawHistory() {
  const [show, explain, error] = [row("chosen", "show"), row("chosen", "explain"), row("chosen", "error")];
  byId("one-body").hidden = !show;
  byId("one-hint").hidden = Boolean(show);
  if (error) setText(byId("one-hint"), error.error);
  else if (!show) {
    setText(byId("one-title"), "One object");
    setText(byId("one-hint"), HINT);
  }
  if (!show || !explain) return;
  if (of !== show.object) [of, most] = [show.object, STEP];
  const records = rows("trace");
  setText(byId("one-title"), show.name ? `${show.name} (${show.intent})` : show.intent);
  drawLine(show, records);
  drawWhy(show, explain);
  drawLanes(show, records);
  drawRecords(records);
}

const count = (number, one, many) => `${number} ${number === 1 ? one : many}`;

function drawLine(show, records) {
  const end = show.end ? `${show.end}${show.error ? `: ${show.error}` : show.result === null ? "" : `: ${shown(show.result)}`}` : show.status;
  byId("one-line").replaceChildren(
    h("b", { class: `word ${show.status} ${show.end ?? ""}` }, end), ` with ${clean(show.custodian_name)}, made `, timer(show.made_at, "ago"),
    `, ${count(show.entries, "entry", "entries")}, ${count(show.attempts, "try", "tries")}, held by ${count(show.held_by.length, "device", "devices")}`,
    ...(show.expires_at ? [", expires ", timer(show.expires_at, "in")] : []),
    h("code", { class: "quiet id", title: show.object }, ` ${show.object.slice(0, 12)}`),
    ...(records.length < show.entries ? [h("span", { class: "quiet" }, " (the newest records; edge-runtime trace has all)")] : []));
}

// Why it sleeps: the rule that decided, each thing waited for, and what each step came to.
function drawWhy(show, explain) {
  if (show.status === "ended") return byId("one-why").replaceChildren();
  const parts = [];
  if (explain.reason) parts.push(h("p", { class: "because" }, h("b", {}, `${explain.reason}`),
    ...(explain.next_at ? [", next look ", timer(explain.next_at, "in")] : [", no look is due by time"])));
  if (explain.verdict.effect !== "permit") parts.push(h("p", {}, `Policy says ${explain.verdict.effect} (rule ${explain.verdict.rule})${explain.verdict.why ? `: ${explain.verdict.why}` : ""}.`));
  if (explain.waits.length) parts.push(h("table", { class: "waits" },
    h("thead", {}, h("tr", {}, ...["Waits for", "Now", "Held last", "Who could"].map((word) => h("th", { scope: "col" }, word)))),
    h("tbody", {}, ...explain.waits.slice(0, WAITS_MAX).map(waitRow))));
  if (explain.waits.length > WAITS_MAX) parts.push(h("p", { class: "quiet" }, `and ${explain.waits.length - WAITS_MAX} more`));
  const last = new Map(show.steps.map((step) => [step.path, step]));
  const tried = explain.steps.filter((step) => step.tries);
  if (tried.length) parts.push(h("ul", { class: "tries" }, ...tried.slice(0, WAITS_MAX).map((step) => {
    const memory = last.get(step.path);
    return h("li", {}, h("b", {}, stepName(step.path)), ` tried ${count(step.tries, "time", "times")}, last `,
      timer(step.last_try_at, "ago"), memory ? `: ${memory.outcome}${memory.error ? `, ${memory.error}` : ""}` : "");
  })));
  const outcomes = Object.entries(explain.history);
  if (outcomes.length) parts.push(h("p", { class: "quiet" }, `So far: ${outcomes.map(([name, times]) => `${times} ${name}`).join(", ")}.`));
  byId("one-why").replaceChildren(...parts);
}

function waitRow(wait) {
  const value = wait.value === null ? "unknown" : `${shown(wait.value)}`;
  return h("tr", {}, h("th", { scope: "row" }, wait.leaf),
    h("td", {}, wait.fact ? value : wait.holds === "true" ? "yes" : "not yet", ...(wait.set_at ? [" (", timer(wait.set_at, "ago"), ")"] : [])),
    h("td", {}, wait.last_true_at ? timer(wait.last_true_at, "ago") : "–"), h("td", {}, wait.who_could.join(", ") || "–"));
}

function drawRecords(records) {
  const earlier = byId("earlier");
  earlier.hidden = records.length <= most;
  setText(earlier, `Show earlier records (${Math.max(0, records.length - most)})`);
  const numbered = records.map((record, at) => ({ ...record, key: `${record.entry} ${at}`, slept: sleptBefore(records, at) }));
  keep(byId("records"), numbered.slice(-most), (record) => record.key, makeRecord);
}

// How long an object had slept when a record says that it woke.
function sleptBefore(records, at) {
  if (records[at].kind !== "reentered") return 0;
  const before = records.slice(0, at).findLast((record) => record.kind === "dormant");
  return before ? records[at].age_ms - before.age_ms : 0;
}

function makeRecord(record) {
  const [sign, text] = say(record);
  const slept = record.slept > 0 ? `, after ${duration(record.slept)} asleep` : "";
  const item = h("li", { class: `${record.kind === "executed" && !isGood(record.body) ? "bad" : ""} ${record.kind}` },
    keySign(sign === "slept" ? "slept" : sign), h("span", { class: "age" }, `+${duration(record.age_ms)}`), h("span", { class: "by" }, record.device_name),
    h("span", { class: "text" }, text + slept));
  if (record.void) item.append(h("b", { class: "void" }, `void: ${record.void}`));
  return item;
}
