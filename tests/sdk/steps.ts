import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";

export { assert, randomUUID };

const url = process.env["SDK_URL"];
if (url === undefined) throw new Error("SDK_URL is not set");
export const baseUrl: string = url;

/** Credentials of a new account. */
export function newAccount(name: string): { name: string; email: string; password: string } {
  return { name, email: `${name.toLowerCase()}-${randomUUID()}@example.com`, password: "correct horse battery staple" };
}

export function done(step: string): void {
  console.log(`  ok  ${step}`);
}

/** Fails to compile where a case of a union is not handled. At run time a newer server may send another value. */
export function unhandled(value: never): string {
  return (value as { type: string }).type;
}
