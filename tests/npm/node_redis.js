// SPDX-License-Identifier: BSD-3-Clause
//
// node-redis with RESP3: messages and replies on one connection, channels, patterns, shard
// channels, streams read by a waiting client.
"use strict";

const { createClient } = require("redis");
const { assert, port, run, until } = require("./check");

const MESSAGES = 300;

run(async () => {
  const client = createClient({
    socket: { host: "127.0.0.1", port },
    RESP: 3,
    unstableResp3: true, // or it reads no streams
  });
  client.on("error", (error) => console.error(error));
  await client.connect();
  const subscriber = client.duplicate();
  await subscriber.connect();

  const heard = [];
  await subscriber.subscribe("news", (text, channel) => heard.push([channel, text]));
  await subscriber.pSubscribe("user:?", (text, channel) => heard.push([channel, text]));
  await subscriber.sSubscribe("orders", (text, channel) => heard.push([channel, text]));
  // With RESP3 a subscribed client goes on as any other.
  await subscriber.set("k", "v");
  assert.strictEqual(await subscriber.get("k"), "v");
  for (let i = 0; i < MESSAGES; i++) {
    assert.strictEqual(await client.publish("news", `n${i}`), 1);
    assert.strictEqual(await client.publish(`user:${i % 10}`, `u${i}`), 1);
    assert.strictEqual(await client.sPublish("orders", `o${i}`), 1);
    assert.strictEqual(await subscriber.incr("during"), i + 1);
  }
  await until("all messages", () => heard.length === 3 * MESSAGES);
  for (let i = 0; i < MESSAGES; i++) {
    assert.deepStrictEqual(heard.slice(3 * i, 3 * i + 3),
      [["news", `n${i}`], [`user:${i % 10}`, `u${i}`], ["orders", `o${i}`]]);
  }

  await client.configSet("notify-keyspace-events", "KEA");
  const events = [];
  await subscriber.pSubscribe("__keyevent@0__:*", (key, channel) => events.push([channel, key]));
  await client.hSet("hash", { a: "1", b: "2" });
  await client.del("hash");
  await until("both events", () => events.length === 2);
  assert.deepStrictEqual(events, [["__keyevent@0__:hset", "hash"], ["__keyevent@0__:del", "hash"]]);
  await client.configSet("notify-keyspace-events", "");

  const waiter = client.duplicate();
  await waiter.connect();
  const waiting = waiter.xRead({ key: "stream", id: "$" }, { BLOCK: 10000 });
  await until("a blocked client", async () => /blocked_clients:1/.test(await client.info("clients")));
  await client.xAdd("stream", "*", { field: "value" });
  const found = JSON.stringify(await waiting);
  assert(found.includes("value"), found);
  assert.deepStrictEqual({ ...(await client.hGetAll("none")) }, {});
});
