import { createHmac, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";

const TOLERANCE_SECONDS = 5 * 60;

/**
 * Verifies a delivery (Standard Webhooks 1.0.0) and returns its event. Throws if verification fails.
 *
 * Pass the raw body, before anything parses it: the signature covers its exact bytes. A delivery can
 * arrive more than once, so ignore a `webhook-id` that you have already processed. In Express:
 *
 *     app.post("/hooks", express.raw({ type: "application/json" }), (request, response) => {
 *       const event = verify(secret, request.headers, request.body);
 *
 * With a Fetch API `Request` (Next.js, Hono):
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
  // Not `>`: NaN must fail.
  if (!(Math.abs(now - Number(timestamp)) <= TOLERANCE_SECONDS)) {
    throw new Error("webhook-timestamp is too far from now");
  }
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  if (key.length === 0) throw new Error("the secret is empty");
  const signed = createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body);
  const expected = Buffer.from(`v1,${signed.digest("base64")}`);
  // During secret rotation there are several signatures. Other versions never match.
  const genuine = signatures.split(" ").some((signature) => {
    const given = Buffer.from(signature);
    return given.length === expected.length && timingSafeEqual(given, expected);
  });
  if (!genuine) throw new Error("webhook-signature does not match");
  return JSON.parse(body.toString("utf8"));
}
