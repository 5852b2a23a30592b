// SPDX-License-Identifier: BSD-3-Clause
//
// Socket.IO's Redis adapters, plain and sharded: two servers that know of each other only by way of
// torc; a client of one hears what the other sends to everybody, to a room, to one socket.
"use strict";

const { createServer } = require("node:http");
const { Server } = require("socket.io");
const { io: connect } = require("socket.io-client");
const { createAdapter, createShardedAdapter } = require("@socket.io/redis-adapter");
const { createClient } = require("redis");
const { assert, port, run, until } = require("./check");

async function startServer(makeAdapter) {
  const pub = createClient({ socket: { host: "127.0.0.1", port } });
  const sub = pub.duplicate();
  await Promise.all([pub.connect(), sub.connect()]);
  const http = createServer();
  const io = new Server(http, { adapter: makeAdapter(pub, sub) });
  io.on("connection", (socket) => socket.on("join", (room, done) => {
    socket.join(room);
    done();
  }));
  await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve));
  return { io, port: http.address().port };
}

async function startClient(server) {
  const socket = connect(`http://127.0.0.1:${server.port}`, { transports: ["websocket"] });
  const heard = [];
  socket.onAny((...what) => heard.push(what));
  await until("a client is connected", () => socket.connected);
  return { socket, heard };
}

async function checkAdapter(makeAdapter) {
  const [one, two] = [await startServer(makeAdapter), await startServer(makeAdapter)];
  const [near, far] = [await startClient(one), await startClient(two)];
  await until("servers that see both sockets", async () =>
    (await one.io.fetchSockets()).length === 2 && (await two.io.fetchSockets()).length === 2);

  one.io.emit("all", 1);
  await until("both heard", () => near.heard.length === 1 && far.heard.length === 1);

  await new Promise((resolve) => far.socket.emit("join", "room", resolve));
  await until("the room is known", async () => (await one.io.in("room").fetchSockets()).length === 1);
  one.io.to("room").emit("room", 2);
  await until("the room heard", () => far.heard.length === 2);
  one.io.to(far.socket.id).emit("one", 3);
  await until("one heard", () => far.heard.length === 3);
  assert.deepStrictEqual(far.heard, [["all", 1], ["room", 2], ["one", 3]]);
  assert.deepStrictEqual(near.heard, [["all", 1]]);

  const asked = [];
  two.io.on("question", (text, answer) => {
    asked.push(text);
    answer("yes");
  });
  const answers = await new Promise((resolve, reject) =>
    one.io.serverSideEmit("question", "there?", (error, all) => error ? reject(error) : resolve(all)));
  assert.deepStrictEqual([asked, answers], [["there?"], ["yes"]]);

  one.io.disconnectSockets();
  await until("all are disconnected", () => !near.socket.connected && !far.socket.connected);
  near.socket.close();
  far.socket.close();
}

run(async () => {
  await checkAdapter((pub, sub) => createAdapter(pub, sub));
  await checkAdapter((pub, sub) => createShardedAdapter(pub, sub));
});
