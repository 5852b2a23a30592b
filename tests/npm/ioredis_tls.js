// SPDX-License-Identifier: BSD-3-Clause
//
// ioredis over TLS: commands, a pipeline, a value of several records, a subscriber, with the
// certificate that the environment names (TORC_CA; TORC_CERT and TORC_KEY for the client's own).
// Another authority's server is not trusted.
"use strict";

const fs = require("node:fs");
const Redis = require("ioredis");
const { assert, port, run, until } = require("./check");

run(async () => {
  const read = (name) => fs.readFileSync(process.env[name]);
  const tls = { ca: read("TORC_CA"), cert: read("TORC_CERT"), key: read("TORC_KEY") };
  const client = new Redis(port, "127.0.0.1", { tls });
  const subscriber = new Redis(port, "127.0.0.1", { tls });
  const value = "v".repeat(100000);
  assert.strictEqual(await client.set("key", value), "OK");
  assert.strictEqual(await client.get("key"), value);
  const pipeline = client.pipeline();
  for (let i = 0; i < 1000; i++) pipeline.incr("n");
  assert.deepStrictEqual((await pipeline.exec()).at(-1), [null, 1000]);
  const heard = [];
  subscriber.on("message", (channel, text) => heard.push(text));
  await subscriber.subscribe("news");
  assert.strictEqual(await client.publish("news", "hello"), 1);
  await until("the message is heard", () => heard[0] === "hello");
  client.disconnect();
  subscriber.disconnect();

  const stranger = new Redis(port, "127.0.0.1", {
    tls: { ...tls, ca: read("TORC_OTHER_CA") },
    retryStrategy: () => null,
    lazyConnect: true,
  });
  const errors = [];
  stranger.on("error", (error) => errors.push(error.code));
  await assert.rejects(stranger.connect());
  assert(errors.length > 0, "a server of another authority was trusted");
});
