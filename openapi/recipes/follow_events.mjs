import { EventSource } from "eventsource";

// Every type has a name of its own, and `onmessage` gets only events without one: listen for each.
const TYPES = [
  ...["created", "updated", "deleted", "restored"].map((verb) => `project.${verb}`),
  ...["created", "updated", "deleted", "restored", "moved"].map((verb) => `task.${verb}`),
  ...["created", "updated", "deleted"].map((verb) => `comment.${verb}`),
  ...["added", "updated", "removed"].map((verb) => `member.${verb}`),
  ...["created", "accepted", "declined", "revoked"].map((verb) => `invitation.${verb}`),
];

/**
 * Follows the feed from a cursor on, such as the `sync_cursor` of a list. Returns a function that ends it.
 *
 * `accessToken(refused)` gives a token that is good for some time yet; if the last one was refused, another one.
 * `apply(event)` gets the events in order. `listAnew()` lists everything, and gives the cursor to go on from.
 */
export function follow(api, cursor, { accessToken, apply, listAnew }) {
  let events, timer, refused = false, seconds = 3, ended = false;

  function open() {
    if (ended) return;
    events = new EventSource(`${api}/v1/events/stream?cursor=${encodeURIComponent(cursor)}`, {
      fetch: async (input, init) => {
        const headers = { ...init.headers, Authorization: `Bearer ${await accessToken(refused)}` };
        const answer = await fetch(input, { ...init, headers });
        refused = answer.status === 401;
        seconds = Number(answer.headers.get("retry-after") ?? 3);
        return answer;
      },
    });
    for (const type of TYPES) {
      events.addEventListener(type, ({ data, lastEventId }) => {
        apply(JSON.parse(data));
        cursor = lastEventId;
      });
    }
    events.onerror = ({ code }) => {
      // Otherwise the connection broke, and it comes back by itself.
      if (events.readyState === EventSource.CLOSED) timer = setTimeout(reopen, seconds * 1000, code);
    };
  }

  async function reopen(code) {
    try {
      // The cursor is older than the events that are kept.
      if (code === 400) cursor = await listAnew();
      open();
    } catch {
      timer = setTimeout(reopen, 5000, code);
    }
  }

  open();
  return () => {
    ended = true;
    clearTimeout(timer);
    events.close();
  };
}
