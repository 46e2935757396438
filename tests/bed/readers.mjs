// Reads messages with postal-mime: a decimal length and a newline, then so many octets, again and again.
// Answers each with one line of JSON that gives lengths, and then the octets: text, html, attachments.
// The first argument is the folder in which node_modules is.
import { pathToFileURL } from "node:url";
import { createRequire } from "node:module";

const require = createRequire(pathToFileURL(process.argv[2] + "/"));
const loaded = (await import(pathToFileURL(require.resolve("postal-mime")))).default;
const PostalMime = loaded.default ?? loaded;

const mailboxes = (list) =>
  (list ?? []).flatMap((entry) => entry.group ?? [entry]).map((entry) => [entry.name ?? "", entry.address ?? ""]);

async function answer(raw) {
  const mail = await new PostalMime({ attachmentEncoding: "arraybuffer", forceRfc822Attachments: true }).parse(raw);
  const texts = [mail.text, mail.html].map((text) => (text === undefined ? undefined : Buffer.from(text)));
  const contents = mail.attachments.map((part) => Buffer.from(part.content));
  const found = {
    subject: mail.subject ?? "",
    from: mailboxes(mail.from ? [mail.from] : []),
    to: mailboxes(mail.to),
    cc: mailboxes(mail.cc),
    header_names: mail.headers.map((header) => header.originalKey ?? header.key),
    text: texts[0]?.length ?? null,
    html: texts[1]?.length ?? null,
    attachments: mail.attachments.map((part, index) => [
      part.filename ?? null,
      part.mimeType,
      contents[index].length,
      part.contentId?.replace(/^<|>$/g, "") ?? null,
    ]),
  };
  return [found, ...texts.filter(Boolean), ...contents];
}

let chunks = [];
let have = 0;
let need = null; // the octets of the message under way, once its length is known
for await (const octets of process.stdin) {
  chunks.push(octets);
  have += octets.length;
  while (need === null ? have > 0 : have >= need) {
    if (chunks.length > 1) chunks = [Buffer.concat(chunks)];
    const [start] = chunks;
    if (need === null) {
      const end = start.indexOf(10);
      if (end < 0) break;
      need = Number(start.subarray(0, end));
      chunks = [start.subarray(end + 1)];
      have -= end + 1;
    } else {
      const whole = answer(start.subarray(0, need)).catch((error) => [{ error: String(error) }]);
      const [found, ...octets] = await whole;
      process.stdout.write(Buffer.concat([Buffer.from(JSON.stringify(found) + "\n"), ...octets]));
      chunks = [start.subarray(need)];
      have -= need;
      need = null;
    }
  }
}
