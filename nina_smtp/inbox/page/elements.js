// Small tools for the page. Every value from a mail goes through text nodes or attributes, never through HTML.

const SVG = "http://www.w3.org/2000/svg";

/** An element; children are elements or text, and empty ones are left out. */
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || (value === false && !key.startsWith("aria-"))) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true && !key.startsWith("aria-") ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

/** An icon of the page's own sheet. */
export function icon(name, size = "s") {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", `i ${size}`);
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/** Text whose control and direction marks are shown instead of obeyed, so that no name can pass for another. */
export function visible(text) {
  return String(text ?? "").replace(
    /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
    (mark) => `\\u{${mark.codePointAt(0).toString(16)}}`,
  );
}

export function bytes(count) {
  if (count < 1000) return `${count} B`;
  const [value, unit] = count < 999500 ? [count / 1e3, "kB"] : [count / 1e6, "MB"];
  return `${value < 10 ? value.toFixed(2) : value.toFixed(1)} ${unit}`;
}

export const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const SECONDS = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const DATE = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long", year: "numeric" });

export function shortTime(iso) {
  const time = new Date(iso);
  return time.toDateString() === new Date().toDateString() ? CLOCK.format(time) : DAY.format(time);
}

export function longTime(iso) {
  const time = new Date(iso);
  return [DATE.format(time), SECONDS.format(time)];
}

/** The answer of the API; an error of the API is thrown as its sentence. */
export async function api(path, options = {}) {
  const response = await fetch(path, { ...options, headers: { "X-Nina-Inbox": "1" } });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error.message);
  return answer;
}
