// The right side: one message with its tabs.

import { api, bytes, el, icon, longTime, plural, visible } from "./elements.js";

const SOURCE_LIMIT = 512 * 1024;
const TABS = ["HTML", "Text", "Headers", "Source", "Attachments"];

let chosenTab = null;
let phone = false;

const person = (address) => visible(address.name || address.address);
const base = (message) => `/api/messages/${encodeURIComponent(message.id)}`;
const header = (message, name) => message.headers.find((h) => h.name.toLowerCase() === name)?.value ?? "";

/** Draws a message into `pane`; `remove` is called when the person deletes it. */
export function showMessage(pane, message, remove) {
  const tabs = el("div", { class: "utabs", role: "tablist", "aria-label": "Views" });
  const body = el("div", { class: "body", role: "tabpanel", id: "panel", tabindex: "-1" });
  const bar = attachmentBar(message);
  const open = (name) => {
    for (const tab of tabs.children) {
      const selected = tab.dataset.name === name;
      tab.setAttribute("aria-selected", selected);
      tab.tabIndex = selected ? 0 : -1;
      if (selected) body.setAttribute("aria-labelledby", tab.id);
    }
    body.replaceChildren(...VIEWS[name](message));
    if (bar) bar.hidden = name === "Attachments";
  };
  for (const name of TABS) {
    const count = { Headers: message.headers.length, Attachments: message.attachments.length }[name];
    const choose = () => open((chosenTab = name));
    tabs.append(
      el(
        "button",
        { type: "button", role: "tab", id: `tab-${name}`, "aria-controls": "panel", "data-name": name, onclick: choose },
        name,
        count ? el("span", { class: "tag num" }, String(count)) : null,
      ),
    );
  }
  tabs.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const at = TABS.indexOf(document.activeElement.dataset.name);
    const next = tabs.children[(at + step + TABS.length) % TABS.length];
    next.click();
    next.focus();
  });
  pane.replaceChildren(head(message, tabs, remove), body, ...(bar ? [bar] : []));
  const wanted = chosenTab ?? "HTML";
  open(wanted === "HTML" && message.html === null ? "Text" : wanted);
}

function head(message, tabs, remove) {
  const from = message.from[0] ?? { name: "", address: message.envelope.from || "Nobody" };
  const name = person(from);
  const [date, time] = longTime(message.received);
  const initials = (name.match(/[\p{L}\p{N}]+/gu) ?? ["?"]).slice(0, 2).map((word) => [...word][0].toUpperCase());
  const recipients = [...named("To", message.to), ...named("Cc", message.cc)];
  return el(
    "div",
    { class: "mh" },
    el(
      "div",
      { class: "row" },
      el("h2", { class: "trunc grow", title: visible(message.subject) }, visible(message.subject) || "No subject"),
      el("a", { class: "btn sm", href: `${base(message)}/raw`, download: "" }, icon("down", "xs"), ".eml"),
      el("button", { type: "button", class: "btn icon sm ghost", title: "Delete", "aria-label": "Delete", onclick: remove }, icon("trash")),
    ),
    el(
      "div",
      { class: "meta" },
      el("span", { class: "avatar", "aria-hidden": "true" }, initials.join("")),
      el(
        "div",
        { class: "people" },
        el("div", { class: "trunc" }, el("span", { class: "bb" }, name), from.name ? el("span", { class: "muted" }, ` ${visible(from.address)}`) : null),
        el("div", { class: "xs sec trunc" }, recipients.length ? recipients : `To ${visible(message.envelope.to.join(", "))}`),
      ),
      el("time", { class: "xs muted num", datetime: message.received, title: "When it was caught" }, date, el("br"), time),
    ),
    el("div", { class: "facts" }, facts(message)),
    tabs,
  );
}

function named(label, list) {
  if (!list.length) return [];
  const people = list.flatMap((address, at) => [
    at ? ", " : "",
    person(address),
    address.name ? el("span", { class: "muted" }, ` ${visible(address.address)}`) : "",
  ]);
  return [el("span", {}, `${label} `, ...people.filter(Boolean), " ")];
}

function facts(message) {
  const tag = (kind, sign, text, title) => el("span", { class: `tag ${kind}`, title }, sign ? icon(sign, "xs") : null, text);
  const found = [];
  const { to, auth, from } = message.envelope;
  if (header(message, "x-nina-signature") || header(message, "lc-signature")) {
    found.push(tag("info", "shield", "Signed", "Carries an HMAC-SHA256 signature; “nina-smtp verify” checks it with the key"));
  }
  if (/^\s*(high|urgent|[12])\b/i.test(header(message, "importance") || header(message, "x-priority"))) {
    found.push(tag("", "bang", "High importance"));
  }
  const attached = message.attachments.filter((attachment) => !attachment.embedded);
  if (attached.length) {
    const total = attached.reduce((sum, attachment) => sum + attachment.size, 0);
    found.push(tag("", "clip", `${plural(attached.length, "attachment")}, ${bytes(total)}`));
  }
  const shown = new Set([...message.to, ...message.cc].map((address) => address.address.toLowerCase()));
  const blind = to.filter((address) => !shown.has(address.toLowerCase())).length;
  const envelope = `Envelope: ${plural(to.length, "recipient")}${blind ? `, ${blind} blind` : ""}`;
  found.push(tag("", null, envelope, visible(`From ${from || "nobody"} to ${to.join(", ")}`)));
  if (auth) found.push(tag("", null, visible(`Login: ${auth.user}`), `AUTH ${auth.mechanism}`));
  for (const warning of message.warnings) found.push(tag("warn", "warn", visible(warning)));
  return found;
}

const empty = (title, line) => [el("div", { class: "none" }, el("p", { class: "b" }, title), el("p", { class: "muted xs" }, line))];

const VIEWS = {
  HTML(message) {
    if (message.html === null) return empty("No HTML", "This mail has no HTML part.");
    const remote = message.remoteImages ? `, ${plural(message.remoteImages, "remote image")} blocked` : "";
    const frame = el("iframe", {
      class: phone ? "paper phone" : "paper",
      title: "Message body",
      sandbox: "allow-popups allow-popups-to-escape-sandbox",
      referrerpolicy: "no-referrer",
      src: `${base(message)}/html`,
    });
    const width = (label, value) =>
      el("button", { type: "button", role: "radio", "aria-checked": phone === value, onclick: (event) => {
        phone = value;
        frame.classList.toggle("phone", value);
        for (const other of event.currentTarget.parentNode.children) other.setAttribute("aria-checked", other === event.currentTarget);
      } }, label);
    const seg = el("div", { class: "seg", role: "radiogroup", "aria-label": "Width" }, width("Desktop", false), width("Phone", true));
    const note = `Shown in a closed frame: no scripts, no forms${remote}`;
    return [el("div", { class: "frame" }, el("div", { class: "bar" }, icon("shield", "xs"), el("span", { class: "trunc grow" }, note), seg), frame)];
  },
  Text(message) {
    if (!message.text) return empty("No text", "This mail has no text part. Some readers will show nothing.");
    return [el("pre", { class: "sheet prose", tabindex: "0" }, message.text)];
  },
  Headers(message) {
    if (!message.headers.length) return empty("No headers", "This mail has no header fields at all.");
    const rows = message.headers.flatMap((field) => [el("dt", {}, visible(field.name)), el("dd", {}, visible(field.value))]);
    return [el("dl", { class: "sheet fields", tabindex: "0" }, rows)];
  },
  Source(message) {
    const pre = el("pre", { class: "sheet source", tabindex: "0" });
    const note = el("div", { class: "note xs muted" });
    source(message).then(
      (text) => {
        pre.textContent = text;
        if (message.size > SOURCE_LIMIT) note.textContent = `The first ${bytes(SOURCE_LIMIT)} of ${bytes(message.size)}. The .eml file has it all.`;
      },
      (error) => (note.textContent = error.message),
    );
    return [pre, note];
  },
  Attachments(message) {
    if (!message.attachments.length) return empty("No attachments", "This mail has a body only.");
    const columns = ["Name", "What it is", "Says it is", "Size", ""];
    const rows = message.attachments.map((attachment) =>
      el(
        "tr",
        {},
        el("td", {}, el("span", { class: "row" }, icon("file"), el("span", { class: "b name" }, fileName(attachment)))),
        el("td", {}, kind(attachment)),
        el("td", { class: "mono" }, visible(attachment.contentType), attachment.contentId ? el("div", { class: "muted name" }, `cid:${visible(attachment.contentId)}`) : null),
        el("td", { class: "num" }, bytes(attachment.size)),
        el("td", {}, el("a", { class: "btn sm", href: link(message, attachment), download: "", "aria-label": `Download ${fileName(attachment)}` }, icon("down", "xs"), "Download")),
      ),
    );
    const table = el("table", {}, el("thead", {}, el("tr", {}, columns.map((name) => el("th", { scope: "col" }, name)))), el("tbody", {}, rows));
    return [el("div", { class: "sheet", tabindex: "0" }, table)];
  },
};

const link = (message, attachment) => `${base(message)}/attachments/${attachment.index}`;
const fileName = (attachment) => visible(attachment.filename ?? `Part ${attachment.index + 1}, no name`);
const kind = (attachment) =>
  attachment.mismatch ? el("span", { class: "t-warn row tight" }, icon("warn", "xs"), attachment.kind) : attachment.kind;

function attachmentBar(message) {
  const attached = message.attachments.filter((attachment) => !attachment.embedded);
  if (!attached.length) return null;
  const chips = attached.map((attachment) =>
    el(
      "a",
      { class: attachment.mismatch ? "attc bad" : "attc", href: link(message, attachment), download: "", title: `Download ${fileName(attachment)}` },
      icon("file"),
      el("span", { class: "b trunc" }, fileName(attachment)),
      attachment.mismatch ? kind(attachment) : null,
      el("span", { class: "muted num" }, attachment.mismatch ? bytes(attachment.size) : `${attachment.kind}, ${bytes(attachment.size)}`),
      icon("down", "xs"),
    ),
  );
  return el("div", { class: "attb", role: "group", "aria-label": "Attachments" }, chips);
}

/** The start of the source: a mail of 60 MB must not stop the page. */
async function source(message) {
  const response = await fetch(`${base(message)}/raw`);
  if (!response.ok) throw new Error((await response.json()).error.message);
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (let read = 0; read < SOURCE_LIMIT; ) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    text += decoder.decode(value.subarray(0, SOURCE_LIMIT - read), { stream: true });
    read += value.length;
  }
  await reader.cancel();
  return text;
}

export const loadMessage = (id) => api(`/api/messages/${encodeURIComponent(id)}`);
