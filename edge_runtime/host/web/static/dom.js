// Small helpers. Text of objects and devices is untrusted: it becomes text nodes and attributes, never markup.

const SVG = "http://www.w3.org/2000/svg";
const TEXT_CHARS = 300;
// Controls and the marks that turn the direction of text are shown, not obeyed.
const STEERING = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

export const byId = (id) => document.getElementById(id);

export function clean(value, most = TEXT_CHARS) {
  const text = String(value).replace(STEERING, (c) => "\\u" + c.codePointAt(0).toString(16).padStart(4, "0"));
  return text.length > most ? text.slice(0, most - 1) + "…" : text;
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === false || value === null || value === undefined) continue;
    node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat()) {
    if (child === null || child === undefined) continue;
    node.append(child instanceof Node ? child : clean(child));
  }
  return node;
}

export const h = (name, attributes, ...children) => fill(document.createElement(name), attributes, children);
export const s = (name, attributes, ...children) => fill(document.createElementNS(SVG, name), attributes, children);

export function setText(node, value) {
  const text = clean(value);
  if (node.textContent !== text) node.textContent = text;
}

// Brings the children of `parent` in line with `items`, keeping nodes (and so the focus) by key.
export function keep(parent, items, key, make, update) {
  const had = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let at = parent.firstElementChild;
  for (const item of items) {
    const name = String(key(item));
    let node = had.get(name);
    had.delete(name);
    if (!node) {
      node = make(item);
      node.dataset.key = name;
    }
    if (node === at) at = at.nextElementSibling;
    else parent.insertBefore(node, at);
    update?.(node, item);
  }
  for (const node of had.values()) node.remove();
}

// --- Time: the server's boot clock, guessed from its last word ---

const clock = { offset: 0 };
export const hearClock = (nowMs) => { clock.offset = nowMs - performance.now(); };
export const serverNow = () => performance.now() + clock.offset;

const UNITS = [[86_400_000, "d"], [3_600_000, "h"], [60_000, "min"], [1_000, "s"]];

export function duration(ms) {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  for (const [at, [size, name]] of UNITS.entries()) {
    if (ms < size) continue;
    const whole = Math.floor(ms / size);
    const [small, smallName] = UNITS[at + 1] ?? [];
    const rest = small ? Math.floor((ms % size) / small) : 0;
    return rest && whole < 10 ? `${whole} ${name} ${rest} ${smallName}` : `${whole} ${name}`;
  }
}

const since = (ms) => (ms < 1_000 ? "just now" : `${duration(ms)} ago`);
const FORMS = {
  ago: (at) => since(serverNow() - at),
  for: (at) => `for ${duration(Math.max(1_000, serverNow() - at))}`,
  in: (at) => (at - serverNow() < 1_000 ? "now" : `in ${duration(at - serverNow())}`),
};

// A time that counts on by itself.
export function timer(at, form) {
  const node = h("span", { class: "time", "data-at": at, "data-form": form });
  node.textContent = FORMS[form](at);
  return node;
}

export function tick() {
  for (const node of document.querySelectorAll("[data-at]")) {
    const text = FORMS[node.dataset.form](Number(node.dataset.at));
    if (node.textContent !== text) node.textContent = text;
  }
}

export function bytes(count) {
  if (count < 1_000) return `${count} B`;
  if (count < 1_000_000) return `${(count / 1_000).toFixed(1)} kB`;
  return `${(count / 1_000_000).toFixed(1)} MB`;
}

export function shown(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

// Redraws a picture when its place gets another width.
export function onWidth(node, draw) {
  let width = 0;
  new ResizeObserver(([entry]) => {
    const found = Math.floor(entry.contentRect.width);
    if (found && found !== width) draw((width = found));
  }).observe(node);
}
