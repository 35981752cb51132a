import { EventSource } from "eventsource";

// Every event has a name, and `onmessage` receives only unnamed events: listen to each name.
const TYPES = [
  ...["created", "updated", "deleted", "restored"].map((verb) => `project.${verb}`),
  ...["created", "updated", "deleted", "restored", "moved"].map((verb) => `task.${verb}`),
  ...["created", "updated", "deleted"].map((verb) => `comment.${verb}`),
  ...["added", "updated", "removed"].map((verb) => `member.${verb}`),
  ...["created", "accepted", "declined", "revoked"].map((verb) => `invitation.${verb}`),
];

/**
 * Follows the feed from a cursor, such as the `sync_cursor` of a list. Returns a function that stops it.
 *
 * `accessToken(rejected)` returns a valid access token, and a new one if the last was rejected. `apply(event)` receives
 * the events in order. `reload()` reads all lists again and returns the cursor to continue from.
 */
export function follow(api, cursor, { accessToken, apply, reload }) {
  let events, timer, rejected = false, seconds = 3, stopped = false;

  function open() {
    if (stopped) return;
    events = new EventSource(`${api}/v1/events/stream?cursor=${encodeURIComponent(cursor)}`, {
      fetch: async (input, init) => {
        const headers = { ...init.headers, Authorization: `Bearer ${await accessToken(rejected)}` };
        const response = await fetch(input, { ...init, headers });
        rejected = response.status === 401;
        seconds = Number(response.headers.get("retry-after") ?? 3);
        return response;
      },
    });
    for (const type of TYPES) {
      events.addEventListener(type, ({ data, lastEventId }) => {
        apply(JSON.parse(data));
        cursor = lastEventId;
      });
    }
    events.onerror = ({ code }) => {
      // In any other state, EventSource reconnects by itself.
      if (events.readyState === EventSource.CLOSED) timer = setTimeout(reopen, seconds * 1000, code);
    };
  }

  async function reopen(code) {
    try {
      // 400: the cursor is older than the retained events.
      if (code === 400) cursor = await reload();
      open();
    } catch {
      timer = setTimeout(reopen, 5000, code);
    }
  }

  open();
  return () => {
    stopped = true;
    clearTimeout(timer);
    events.close();
  };
}
