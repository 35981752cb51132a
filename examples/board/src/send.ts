import type { ApiError } from "./client";

const MAX_BACKOFF_MS = 8_000;
const TRANSIENT = [408, 429, 502, 503, 504];

type Result<T> = { data?: T; error?: unknown; response?: Response };

/** A definite refusal by the server. */
export class RequestFailed extends Error {
  constructor(
    readonly response: Response,
    readonly body: ApiError,
  ) {
    const details = body.details?.map((detail) => detail.message);
    super(details?.join(" ") ?? body.message ?? `The server responded with ${response.status}.`);
  }
}

export const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Milliseconds before the next attempt: as the server says, or exponential with jitter. */
export function backoff(attempt: number, response?: Response): number {
  const seconds = Number(response?.headers.get("Retry-After") ?? NaN);
  if (seconds >= 0) return seconds * 1000;
  return Math.min(MAX_BACKOFF_MS, 250 * 2 ** attempt) * (0.5 + Math.random() / 2);
}

/**
 * Sends a request until the outcome is known. It must be safe to repeat: a read, or a change with an `Idempotency-Key`
 * that `call` does not choose itself.
 */
export async function send<T>(call: () => Promise<Result<T>>, attempts = Infinity) {
  for (let attempt = 1; ; attempt++) {
    // The generated client returns the failure of a connection, but throws if it breaks within the body.
    const { data, error, response }: Result<T> = await call().catch((thrown: unknown) => {
      if (thrown instanceof TypeError) return { error: thrown };
      throw thrown;
    });
    if (response?.ok) return { data: data as T, response };
    const inProgress = (error as ApiError).error === "IDEMPOTENCY_IN_PROGRESS";
    const transient = !response || TRANSIENT.includes(response.status) || inProgress;
    if (response && (!transient || attempt >= attempts)) throw new RequestFailed(response, error as ApiError);
    if (attempt >= attempts) throw new Error("The server cannot be reached. Try again later.");
    await sleep(backoff(attempt, response));
  }
}
