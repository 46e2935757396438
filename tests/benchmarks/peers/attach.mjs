// nodemailer, its attachment given as {content, encoding: "base64"}. Run with --expose-gc.

import { load, readJson, serve, timed } from "./loop.mjs";

const nodemailer = load("nodemailer");
let fields = {};

async function send({ host, port, tls, ca }) {
  const transport = nodemailer.createTransport({ host, port, secure: tls, ignoreTLS: !tls, tls: { ca } });
  const attachments = fields.attachments.map((attachment) => ({ ...attachment, encoding: "base64" }));
  const { from, to, subject, body } = fields;
  await transport.sendMail({ from, to, subject, text: body, attachments });
  transport.close();
}

await serve({
  load: ({ path }) => {
    fields = readJson(path);
  },
  settle: () => {
    globalThis.gc();
    globalThis.gc();
  },
  run: ({ count, server }) =>
    timed(async () => {
      for (let sent = 0; sent < count; sent += 1) await send(server);
    }),
});
