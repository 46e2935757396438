// The page: the list at the left, what changes it, and the keys.

import { api, bytes, el, icon, plural, shortTime, visible } from "./elements.js";
import { loadMessage, showMessage } from "./message.js";

const STEP = 100;
const $ = (id) => document.getElementById(id);
const rows = $("rows");
const query = $("query");

const state = { messages: [], total: 0, limit: STEP, selected: null, smtp: null };
const seen = new Set(stored("nina-seen", []));

function stored(key, otherwise) {
  try {
    return JSON.parse(localStorage.getItem(key)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

function store(key, value) {
  try {
    localStorage.setItem(key, typeof value === "string" ? value : JSON.stringify(value));
  } catch {
    // Without storage, mails are new again after a reload.
  }
}

// ---------- the list ----------

let loading = null;
let again = false;

/** Reads the list anew; calls while one is under way become one more. */
function load() {
  if (loading) {
    again = true;
    return loading;
  }
  loading = loadOnce().finally(() => {
    loading = null;
    if (again) {
      again = false;
      load();
    }
  });
  return loading;
}

async function loadOnce() {
  const search = new URLSearchParams({ limit: state.limit, query: query.value });
  let answer;
  try {
    answer = await api(`/api/messages?${search}`);
  } catch {
    live(false);
    return;
  }
  Object.assign(state, { messages: answer.messages, total: answer.total, smtp: answer.smtp });
  const { host, port } = answer.smtp;
  $("address").textContent = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  const found = query.value.trim() ? `${answer.count} of ${plural(answer.total, "message")}` : plural(answer.total, "message");
  $("count").textContent = `${found}, ${bytes(answer.size)}. The newest ${answer.keep} are kept.`;
  drawRows(answer.count);
  const wanted = location.hash.slice(2);
  if (!state.messages.some((message) => message.id === state.selected)) {
    const linked = state.messages.find((message) => message.id === wanted);
    select((linked ?? state.messages[0])?.id ?? null);
  }
  drawDanger(asked && state.total > 0);
}

function drawRows(count) {
  const fresh = state.messages.filter((message) => !seen.has(message.id)).length;
  document.title = fresh ? `(${fresh}) Inbox` : "Inbox";
  if (!state.messages.length) {
    const [title, line] = state.total ? ["No mail matches", `Nothing holds “${visible(query.value)}”.`] : ["No mail yet", "It appears here as soon as it is sent."];
    rows.replaceChildren(el("div", { class: "none" }, el("p", { class: "b" }, title), el("p", { class: "muted xs" }, line)));
    rows.removeAttribute("aria-activedescendant");
    return;
  }
  rows.replaceChildren(...state.messages.map(row));
  if (count > state.messages.length) {
    rows.append(el("button", { type: "button", class: "more btn sm ghost", onclick: more }, `Show ${Math.min(STEP, count - state.messages.length)} more`));
  }
  markSelected();
}

function more() {
  state.limit = Math.min(1000, state.limit + STEP);
  load();
}

function row(message) {
  const from = message.from[0];
  const unread = !seen.has(message.id);
  const to = message.envelope.to;
  const names = to.length > 3 ? `${to.slice(0, 1).join(", ")} and ${to.length - 1} more` : to.join(", ");
  return el(
    "div",
    { class: unread ? "mr un" : "mr", role: "option", id: `m-${message.id}`, "data-id": message.id },
    el(
      "div",
      { class: "l" },
      unread ? el("span", { class: "sr" }, "New. ") : null,
      el("span", { class: "fr trunc grow" }, visible(from?.name || from?.address || message.envelope.from) || "Nobody"),
      message.warnings ? icon("warn", "xs") : null,
      message.attachments ? icon("clip", "xs") : null,
      el("time", { datetime: message.received }, shortTime(message.received)),
    ),
    el("div", { class: "sj trunc" }, visible(message.subject) || "No subject"),
    el("div", { class: "ex trunc" }, visible(`To ${names}`)),
  );
}

function markSelected() {
  for (const option of rows.querySelectorAll("[role=option]")) {
    const selected = option.dataset.id === state.selected;
    option.setAttribute("aria-selected", selected);
    if (!selected) continue;
    option.classList.remove("un");
    option.querySelector(".sr")?.remove();
    rows.setAttribute("aria-activedescendant", option.id);
  }
}

// ---------- one message ----------

async function select(id, byHand = false) {
  state.selected = id;
  if (id === null) {
    history.replaceState(null, "", location.pathname);
    drawNothing();
    return;
  }
  if (byHand || document.visibilityState === "visible") {
    seen.add(id);
    store("nina-seen", [...seen].slice(-2000));
  }
  markSelected();
  history.replaceState(null, "", `#/${id}`);
  if (byHand) $(`m-${id}`)?.scrollIntoView({ block: "nearest" });
  try {
    const message = await loadMessage(id);
    if (state.selected !== id) return;
    showMessage($("message"), message, () => remove(id));
  } catch {
    load(); // it left in the meantime
  }
}

function drawNothing() {
  if (state.total || !state.smtp) {
    $("message").replaceChildren();
    return;
  }
  const { host, port } = state.smtp;
  $("message").replaceChildren(
    el(
      "div",
      { class: "none big" },
      el("span", { class: "well" }, icon("inbox", "l")),
      el("h2", {}, "No mail yet"),
      el("p", { class: "sec" }, "Send to this server, with any login or none, and every mail is shown here."),
      el("dl", { class: "kv mono" }, el("dt", {}, "Host"), el("dd", {}, host), el("dt", {}, "Port"), el("dd", {}, String(port)), el("dt", {}, "Encryption"), el("dd", {}, "none")),
    ),
  );
}

async function remove(id) {
  const at = state.messages.findIndex((message) => message.id === id);
  const next = state.messages[at + 1] ?? state.messages[at - 1];
  await api(`/api/messages/${encodeURIComponent(id)}`, { method: "DELETE" }).catch(() => null);
  state.selected = null;
  if (next) await select(next.id, true);
  await load();
}

// ---------- the top bar ----------

const danger = $("danger");
let asked = false;

/** Deleting everything takes a second click, in the same place, that says how many go. */
function drawDanger(asking, byHand = false) {
  asked = asking;
  if (!asked) {
    const ask = el("button", { type: "button", class: "btn sm ghost danger", onclick: () => drawDanger(true, true) }, "Delete all");
    ask.disabled = !state.total;
    danger.replaceChildren(ask);
    return;
  }
  const really = async () => {
    asked = false;
    rows.focus();
    await api("/api/messages", { method: "DELETE" }).catch(() => null);
    await load();
  };
  const keep = el("button", { type: "button", class: "btn sm", onclick: () => drawDanger(false) }, "Keep");
  danger.replaceChildren(el("button", { type: "button", class: "btn sm fill", onclick: really }, `Delete ${plural(state.total, "message")}`), keep);
  if (byHand) keep.focus();
}

$("copy").addEventListener("click", async (event) => {
  const button = event.currentTarget;
  const settings = { type: "smtp", data: { ...state.smtp, encryption: "none" } };
  const done = await navigator.clipboard.writeText(JSON.stringify(settings, null, 2)).then(() => "Copied", () => "Not allowed");
  button.textContent = done;
  setTimeout(() => (button.textContent = "Copy settings"), 1600);
});

$("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  store("nina-theme", root.dataset.theme);
});

// ---------- live ----------

let events = null;

function live(connected) {
  $("live").textContent = connected ? "Live" : "Reconnecting";
  $("live").classList.toggle("on", connected);
}

function listen() {
  if (events || document.visibilityState !== "visible") return;
  events = new EventSource("/api/events");
  events.addEventListener("open", () => live(true));
  events.addEventListener("change", load);
  events.addEventListener("error", () => {
    live(false);
    if (events?.readyState !== EventSource.CLOSED) return;
    events = null; // the browser gives up after an answer that is no stream
    setTimeout(listen, 5000);
  });
}

// A hidden page holds no connection: a browser opens only six to one server.
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") return listen();
  events?.close();
  events = null;
});

// ---------- search and keys ----------

let typing = 0;
query.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => {
    state.limit = STEP;
    rows.scrollTop = 0;
    load();
  }, 120);
});

rows.addEventListener("click", (event) => {
  const option = event.target.closest("[role=option]");
  if (option) select(option.dataset.id, true);
});

function move(step) {
  const at = state.messages.findIndex((message) => message.id === state.selected);
  const next = state.messages[Math.max(0, Math.min(state.messages.length - 1, at + step))];
  if (next && next.id !== state.selected) select(next.id, true);
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typed = event.target.matches("input, textarea");
  const inList = event.target === rows || event.target === document.body;
  const steps = { ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity, PageDown: 6, PageUp: -6 };
  if (event.key === "/" && !typed) query.focus();
  else if (event.key === "Escape" && event.target === query) {
    query.value = "";
    query.dispatchEvent(new Event("input"));
    rows.focus();
  } else if (event.key === "Escape" && danger.contains(event.target)) {
    drawDanger(false);
    rows.focus();
  } else if ((event.key === "ArrowDown" || event.key === "Enter") && event.target === query) rows.focus();
  else if (inList && event.key in steps) move(steps[event.key]);
  else if (inList && event.key === "Delete" && state.selected) remove(state.selected);
  else return;
  event.preventDefault();
});

addEventListener("hashchange", () => {
  const id = location.hash.slice(2);
  if (id && id !== state.selected) select(id, true);
});

drawDanger(false);
listen();
load();
