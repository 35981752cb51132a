import { fetchWithToken } from "./api";
import { streamEvents, type Event } from "./client";
import { backoff, sleep } from "./send";

/** The server sends a comment every 15 seconds; without one, the connection is dead. */
const SILENCE_MS = 40_000;

type Handlers = {
  apply: (event: Event) => void;
  /** Reads the lists again and returns their cursor. */
  reload: () => Promise<string>;
  onStatus: (live: boolean) => void;
  /** The user may no longer read the project. */
  onForbidden: () => void;
};

/** Follows the events of a project from a cursor, without gaps or duplicates, until the signal is aborted. */
export async function follow(
  project_id: string,
  cursor: string,
  signal: AbortSignal,
  handlers: Handlers,
): Promise<void> {
  for (let failures = 0; !signal.aborted;) {
    let response: Response | undefined;
    const silence = new AbortController();
    const abortOnSilence = () => setTimeout(() => silence.abort(), SILENCE_MS);
    let timer = abortOnSilence();
    const { stream } = await streamEvents({
      query: { project_id },
      headers: { "Last-Event-ID": cursor },
      signal: AbortSignal.any([signal, silence.signal]),
      // The generated client would repeat the old token, and retry after any error status.
      sseMaxRetryAttempts: 1,
      fetch: async (input, init) => {
        response = await fetchWithToken(input, init);
        if (response.ok) handlers.onStatus(true);
        return response;
      },
      // Comments arrive here too, with an `id` and without data.
      onSseEvent: ({ id, data }) => {
        clearTimeout(timer);
        timer = abortOnSilence();
        failures = 0;
        if (data) handlers.apply(data);
        if (id) cursor = id;
      },
    });
    for await (const _ of stream);
    clearTimeout(timer);
    if (signal.aborted) return;
    handlers.onStatus(false);
    if (response?.status === 403) return handlers.onForbidden();
    // The cursor is older than the retained events.
    if (response?.status === 400) cursor = await handlers.reload();
    else await sleep(backoff(failures++, response));
  }
}
