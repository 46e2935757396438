// nodemailer's MailComposer.

import { load, readJson, serve, timed } from "./loop.mjs";

const required = load("nodemailer/lib/mail-composer");
const MailComposer = required.default ?? required;
let alerts = [];

const build = (alert) =>
  new Promise((resolve, reject) => {
    new MailComposer(alert).compile().build((error, message) => (error ? reject(error) : resolve(message)));
  });

await serve({
  load: ({ path }) => {
    alerts = readJson(path);
  },
  show: async ({ index }) => (await build(alerts[index])).toString("base64"),
  run: ({ count }) =>
    timed(async () => {
      for (let index = 0; index < count; index += 1) await build(alerts[index % alerts.length]);
    }),
});
