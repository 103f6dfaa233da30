// The live connection: server-sent events while the page is seen, one picture of everything, and whether it is of now.

import { hearClock } from "./dom.js";

const AGAIN_MS = 2_000;
const SILENT_MS = 40_000; // the server says something each 15 s
export const state = { sections: {}, heardAt: 0, isLive: false, trouble: null };

let source = null;
let timer = 0;
let chosen = "";
let tell = () => {};

export function watch(onChange) {
  tell = onChange;
  document.addEventListener("visibilitychange", () => (document.hidden ? leave() : connect()));
  setInterval(() => {
    if (source && state.isLive && performance.now() - state.heardAt > SILENT_MS) lose();
  }, 1_000);
  connect();
}

export function choose(object) {
  if (object === chosen) return;
  chosen = object;
  state.sections.chosen = new Map();
  state.sections.trace = new Map();
  connect();
}

function leave() {
  source?.close();
  source = null;
  clearTimeout(timer);
}

function connect() {
  leave();
  if (document.hidden) return;
  let isFirst = true;
  source = new EventSource(chosen ? `/events?object=${encodeURIComponent(chosen)}` : "/events");
  source.onmessage = (event) => {
    const { now_ms: nowMs, changed, trouble } = JSON.parse(event.data);
    const names = new Set(Object.keys(changed));
    if (isFirst) {
      // A new connection is told everything: what it does not name is gone.
      for (const name of Object.keys(state.sections)) names.add(name);
      state.sections = {};
    }
    isFirst = false;
    hearClock(nowMs);
    state.heardAt = performance.now();
    const wasLive = state.isLive;
    state.isLive = true;
    state.trouble = trouble;
    for (const [name, change] of Object.entries(changed)) apply(name, change);
    tell(names, !wasLive);
  };
  source.onerror = lose;
}

function lose() {
  leave();
  const wasLive = state.isLive;
  state.isLive = false;
  tell(new Set(), wasLive);
  timer = setTimeout(connect, AGAIN_MS);
}

function apply(name, { set, drop }) {
  const rows = (state.sections[name] ??= new Map());
  for (const key of drop) rows.delete(key);
  for (const [key, row] of set) rows.set(key, row);
}

export const rows = (name) => [...(state.sections[name]?.values() ?? [])];
export const row = (name, key = "") => state.sections[name]?.get(key);
