// nodemailer with a pool, fields in.

import { load, readJson, serve, timed } from "./loop.mjs";

const FEED = 4; // messages that wait for each connection, at most
const nodemailer = load("nodemailer");
let alerts = [];
let transport;
let loops = 0;

await serve({
  load: ({ path }) => {
    alerts = readJson(path);
  },
  open: ({ server: { host, port, tls, ca }, connections }) => {
    const server = { host, port, secure: tls, ignoreTLS: !tls, tls: { ca } };
    const pool = { pool: true, maxConnections: connections, maxMessages: Infinity };
    transport = nodemailer.createTransport({ ...server, ...pool });
    loops = FEED * connections;
  },
  run: ({ count }) =>
    timed(async () => {
      let next = 0;
      const follow = async () => {
        while (next < count) {
          const alert = alerts[next % alerts.length];
          next += 1;
          await transport.sendMail(alert);
        }
      };
      await Promise.all(Array.from({ length: loops }, follow));
    }),
});
transport?.close();
