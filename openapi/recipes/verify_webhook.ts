import { createHmac, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";

const TOLERANCE_SECONDS = 5 * 60;

/**
 * Verifies a delivery by Standard Webhooks 1.0.0 and returns its event; throws if it is not genuine.
 *
 * Give it the body as it was received, byte for byte, and verify before anything parses it: JSON
 * that was parsed and written again is not what was signed. A delivery may come more than once, so
 * drop those whose `webhook-id` you have handled already. In Express:
 *
 *     app.post("/hooks", express.raw({ type: "application/json" }), (request, response) => {
 *       const event = verify(secret, request.headers, request.body);
 *
 * and where there is a `Request` of Fetch (Next.js, Hono):
 *
 *     const event = verify(secret, request.headers, Buffer.from(await request.arrayBuffer()));
 */
export function verify(
  secret: string,
  headers: IncomingHttpHeaders | Headers,
  body: Buffer,
  now: number = Math.floor(Date.now() / 1000),
): unknown {
  const [id, timestamp, signatures] = ["id", "timestamp", "signature"].map((part) => {
    const name = `webhook-${part}`;
    const value = headers instanceof Headers ? headers.get(name) : headers[name];
    if (typeof value !== "string" || value === "") throw new Error(`${name} is missing`);
    return value;
  }) as [string, string, string];
  // Not `>`: a timestamp that is not a number must not pass.
  if (!(Math.abs(now - Number(timestamp)) <= TOLERANCE_SECONDS)) {
    throw new Error("webhook-timestamp is too far from now");
  }
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  if (key.length === 0) throw new Error("the secret is empty");
  const signed = createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body);
  const expected = Buffer.from(`v1,${signed.digest("base64")}`);
  // There are several signatures while secrets are rotated; those of other versions match nothing.
  const genuine = signatures.split(" ").some((signature) => {
    const given = Buffer.from(signature);
    return given.length === expected.length && timingSafeEqual(given, expected);
  });
  if (!genuine) throw new Error("webhook-signature does not match");
  return JSON.parse(body.toString("utf8"));
}
