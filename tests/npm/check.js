// SPDX-License-Identifier: BSD-3-Clause
//
// What the programs of this folder share: the server's address, waiting with a limit, and an end
// that tells. Each program is run by tests/blackbox/test_npm_clients.py and prints "ok" as its last
// line.
"use strict";

const assert = require("node:assert");

const LIMIT_MS = 15000;

const port = Number(process.env.TORC_PORT);
assert(port > 0, "TORC_PORT is not set");

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits until the condition holds; an error that names it when that takes too long. */
async function until(what, condition) {
  for (const end = Date.now() + LIMIT_MS; Date.now() < end; await sleep(5)) {
    if (await condition()) return;
  }
  throw new Error(`still not so: ${what}`);
}

/** Runs a program: prints ok, or what went wrong. */
function run(main) {
  main().then(
    () => {
      console.log("ok");
      process.exit(0);
    },
    (error) => {
      console.error(error);
      process.exit(1);
    },
  );
}

module.exports = { assert, port, run, until };
