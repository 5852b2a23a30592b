// SPDX-License-Identifier: BSD-3-Clause
//
// node-redis with its client-side cache: what it has read is served from its cache, until somebody
// changes it.
"use strict";

const { BasicClientSideCache, createClient } = require("redis");
const { assert, port, run, until } = require("./check");

const KEYS = 100;

run(async () => {
  const cache = new BasicClientSideCache({ ttl: 0, maxEntries: 1000 });
  const options = { socket: { host: "127.0.0.1", port }, RESP: 3 };
  const reader = createClient({ ...options, clientSideCache: cache });
  const writer = createClient(options);
  for (const client of [reader, writer]) {
    client.on("error", (error) => console.error(error));
    await client.connect();
  }
  const keys = Array.from({ length: KEYS }, (_, i) => `k${i}`);
  const readAll = async () => {
    const values = [];
    for (const key of keys) values.push(await reader.get(key));
    return values;
  };

  assert.deepStrictEqual(await readAll(), keys.map(() => null));
  for (const round of ["1", "2", "3"]) {
    for (const key of keys) await writer.set(key, round);
    await until("no cached value", () => cache.size() === 0);
    const before = cache.stats();
    assert.deepStrictEqual(await readAll(), keys.map(() => round));
    assert.strictEqual(cache.stats().missCount - before.missCount, KEYS);
    assert.deepStrictEqual(await readAll(), keys.map(() => round));
    assert.strictEqual(cache.stats().hitCount - before.hitCount, KEYS);
  }
  assert.strictEqual(await reader.hGet("h", "f"), null);
  await writer.hSet("h", "f", "v");
  await until("the field", async () => (await reader.hGet("h", "f")) === "v");
  await writer.flushAll();
  await until("an empty cache", () => cache.size() === 0);
  assert.strictEqual(await reader.get("k0"), null);
});
