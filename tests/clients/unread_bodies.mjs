// Sends requests whose bodies the server does not read, each followed by another request on the same connection.
//
// Usage: unread_bodies.mjs PORT ROUNDS [http2]. Prints the number of lost answers as JSON.

import http from "node:http";
import http2 from "node:http2";

const [port, rounds] = process.argv.slice(2, 4).map(Number);
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const session = process.argv[4] === "http2" ? http2.connect(`http://127.0.0.1:${port}`) : null;

// Resolves to the status, or to the code of the error.
function send(method, path, headers, body) {
  if (session) return sendOverHttp2(method, path, headers, body);
  return new Promise((resolve) => {
    const request = http.request({ port, host: "127.0.0.1", agent, method, path, headers }, (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode));
      response.on("error", (error) => resolve(error.code));
    });
    request.on("error", (error) => resolve(error.code));
    request.flushHeaders();
    // In a later packet than the head.
    setImmediate(() => request.end(body));
  });
}

function sendOverHttp2(method, path, headers, body) {
  return new Promise((resolve) => {
    const stream = session.request({ ":method": method, ":path": path, ...headers }, { endStream: false });
    let status;
    stream.on("response", (received) => {
      status = received[":status"];
    });
    stream.on("error", (error) => resolve(error.code));
    stream.resume();
    stream.on("end", () => resolve(status));
    setImmediate(() => stream.end(body));
  });
}

const lost = { answers: 0, next: 0 };
for (let round = 0; round < rounds; round += 1) {
  // More than the server reads. Node counts what it could not send against the memory of the session, so not often.
  const isHuge = session && round % 50 === 49;
  const body = Buffer.alloc(isHuge ? 3_000_000 : [12, 20_000, 60_000, 900_000][round % 4], "x");
  const headers = { authorization: "Bearer expired", "content-type": "application/json", "content-length": body.length };
  lost.answers += (await send("POST", "/v1/projects", headers, body)) !== 401;
  lost.next += (await send("GET", "/health/live", {}, undefined)) !== 200;
}
agent.destroy();
session?.close();
console.log(JSON.stringify(lost));
