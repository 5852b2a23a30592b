// SPDX-License-Identifier: BSD-3-Clause
//
// ioredis: channels, patterns and shard channels, order, and subscriptions that come back by
// themselves after the server has closed the connection.
"use strict";

const Redis = require("ioredis");
const { assert, port, run, until } = require("./check");

const MESSAGES = 500;

run(async () => {
  const publisher = new Redis(port, "127.0.0.1");
  const subscriber = new Redis(port, "127.0.0.1", { retryStrategy: () => 20 });
  const heard = [];
  subscriber.on("message", (channel, text) => heard.push(["message", channel, text]));
  subscriber.on("pmessage", (pattern, channel, text) => heard.push([pattern, channel, text]));
  subscriber.on("smessage", (channel, text) => heard.push(["smessage", channel, text]));

  assert.strictEqual(await subscriber.subscribe("news", "sport"), 2);
  assert.strictEqual(await subscriber.psubscribe("user:*"), 3);
  assert.strictEqual(await subscriber.ssubscribe("orders"), 1);
  for (let i = 0; i < MESSAGES; i++) {
    const counts = await Promise.all([
      publisher.publish("news", `n${i}`),
      publisher.publish(`user:${i}`, `u${i}`),
      publisher.spublish("orders", `o${i}`),
    ]);
    assert.deepStrictEqual(counts, [1, 1, 1]);
  }
  await until("all messages", () => heard.length === 3 * MESSAGES);
  for (let i = 0; i < MESSAGES; i++) {
    assert.deepStrictEqual(heard.slice(3 * i, 3 * i + 3), [
      ["message", "news", `n${i}`],
      ["user:*", `user:${i}`, `u${i}`],
      ["smessage", "orders", `o${i}`],
    ]);
  }

  assert.strictEqual(await subscriber.unsubscribe("sport"), 2);
  assert.deepStrictEqual(await publisher.pubsub("NUMSUB", "news", "sport"), ["news", 1, "sport", 0]);

  heard.length = 0;
  assert.strictEqual(await publisher.client("KILL", "TYPE", "pubsub"), 1);
  await until("the channel after a new connection",
    async () => (await publisher.publish("news", "again")) === 1);
  await until("the pattern after a new connection",
    async () => (await publisher.publish("user:1", "again")) === 1);
  await until("both again", () => heard.length >= 2);
  assert(heard.some(([, channel, text]) => channel === "news" && text === "again"));

  const pipeline = publisher.pipeline();
  for (let i = 0; i < 100; i++) pipeline.set(`k${i}`, i).get(`k${i}`);
  const replies = await pipeline.exec();
  assert.deepStrictEqual(replies.map(([error]) => error).filter(Boolean), []);
  assert.strictEqual(replies[199][1], "99");
  const block = await publisher.multi().incr("n").incr("n").exec();
  assert.deepStrictEqual(block, [[null, 1], [null, 2]]);
});
