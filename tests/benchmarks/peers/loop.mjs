// The same as loop.py, for the programs that run in Node.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { createInterface } from "node:readline";

// Packages are installed outside the repository; NINA_BENCH_MODULES is the folder that holds node_modules.
export const load = createRequire(path.join(process.env.NINA_BENCH_MODULES, "package.json"));

export const readJson = (file) => JSON.parse(readFileSync(file, "utf8"));

export async function timed(work) {
  const cpu = process.cpuUsage();
  const wall = process.hrtime.bigint();
  await work();
  const seconds = Number(process.hrtime.bigint() - wall) / 1e9;
  const used = process.cpuUsage(cpu);
  return { wall: seconds, cpu: (used.user + used.system) / 1e6 };
}

export async function serve(actions) {
  for await (const line of createInterface({ input: process.stdin })) {
    const { do: action, ...order } = JSON.parse(line);
    let answer;
    try {
      answer = await actions[action](order);
    } catch (error) {
      answer = { error: error.stack };
    }
    process.stdout.write(`${JSON.stringify(answer ?? null)}\n`);
  }
}
