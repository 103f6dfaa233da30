// What each record of an object says, as one sentence for people and one sign for the picture.

import { duration, shown } from "./dom.js";
import { nameOf } from "./map.js";

const OUTCOME_WORDS = { ok: "did", slow: "did, slowly,", partial: "did a part of" };
export const isGood = (body) => body.outcome in OUTCOME_WORDS;

// `0/0/photograph:1` is the first call of `photograph`.
export function stepName(path) {
  const [name, number] = path.split("/").at(-1).split(":");
  return number && number !== "1" ? `${name} ${number}` : name;
}

const quoted = (value) => (value === null || value === undefined ? "" : `: ${shown(value)}`);
const list = (items) => items.join(" or ");

const SAY = {
  created: (b) => ["made", `made here: ${b.intent}${b.name ? ` “${b.name}”` : ""}${b.arguments ? ` with ${shown(b.arguments)}` : ""}`],
  executed: (b) => {
    const tried = b.try_number > 1 ? ` (try ${b.try_number})` : "";
    if (isGood(b)) return ["done", `${OUTCOME_WORDS[b.outcome]} ${stepName(b.path)}${tried}${quoted(b.value)}`];
    const hint = b.hint_ms ? `; asked to come again in ${duration(b.hint_ms)}` : "";
    return ["tried", `tried ${stepName(b.path)}${tried}: ${b.outcome}${b.error ? `, ${b.error}` : ""}${hint}`];
  },
  attempted: (b) => ["wrote", `wrote down that it begins ${stepName(b.path)} (try ${b.try_number})`],
  dormant: (b) => ["slept", `fell asleep: ${b.reason}${b.trigger?.length ? `; wakes when ${list(b.trigger)}` : ""}`],
  reentered: (b) => ["woke", `woke: ${b.triggers?.length ? b.triggers.join(", ") : "somebody asked"}`],
  took: (b) => ["took", `went on by ${b.what}${b.path ? ` at ${stepName(b.path)}` : ""}`],
  offered: (b) => ["offered", `offered it to ${nameOf(b.to)}: ${b.reason}`],
  accepted: (b) => ["accepted", `took it over (epoch ${b.epoch})`],
  claimed: (b) => ["accepted", `claimed it (epoch ${b.epoch})${b.reason ? `: ${b.reason}` : ""}`],
  cannot: (b) => ["cannot", `${nameOf(b.about)} cannot: ${b.subject}${b.evidence ? `, ${b.evidence}` : ""}`],
  denied: (b) => ["denied", `was not allowed${b.rule ? ` by ${b.rule}` : ""}${b.waits_for?.length ? `; waits for ${shown(b.waits_for)}` : ""}`],
  signalled: (b) => ["signal", `was told ${b.name}${quoted(b.value)}`],
  cancel_requested: (b) => ["signal", `was asked to end${b.reason ? `: ${b.reason}` : ""}`],
  holding: (b) => ["signal", ["was held", "was released", "was resumed"][b.what] ?? "was held"],
  published: (b) => ["wrote", `says ${b.name}${quoted(b.value)}`],
  polled: (b) => ["took", `looked at ${b.probe} ${b.polls} times${b.error ? `: ${b.error}` : quoted(b.value)}`],
  advised: (b) => ["signal", `was advised on ${b.topic}${quoted(b.proposal)}`],
  terminated: (b) => [b.end === "completed" ? "ended" : "failed", `ended, ${b.end}${b.error ? `: ${b.error}` : quoted(b.value)}`],
};

// Return [sign, sentence]; a kind that this page does not know is named with its first fields.
export function say(record) {
  const known = SAY[record.kind];
  if (known) return known(record.body);
  const fields = Object.entries(record.body).filter(([, value]) => value !== null && value !== "" && value !== 0).slice(0, 3);
  return ["wrote", `${record.kind.replaceAll("_", " ")}${fields.map(([name, value]) => ` ${name} ${shown(value)}`).join(",")}`];
}
