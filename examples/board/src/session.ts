import { refreshSession, type Session } from "./client";
import { RequestFailed, send } from "./send";

const STORE = "sessions";
const KEY = "current";
const REFRESH_LOCK = "pocket-tasks-refresh";
/** A token that expires during its request would be rejected. */
const EXPIRY_MARGIN_MS = 30_000;

type StoredSession = Session & { expires_at: number };

export class SignedOut extends Error {}

// Not localStorage: a tab that acquires a lock may still read there what another tab has replaced under the lock.
const database = new Promise<IDBDatabase>((resolve, reject) => {
  const opening = indexedDB.open("pocket-tasks", 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
  opening.onsuccess = () => resolve(opening.result);
  opening.onerror = () => reject(opening.error);
});
const otherTabs = new BroadcastChannel("pocket-tasks");

async function access<T>(mode: IDBTransactionMode, operation: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const transaction = (await database).transaction(STORE, mode);
  const request = operation(transaction.objectStore(STORE));
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve(request.result);
    transaction.onabort = () => reject(transaction.error);
  });
}

export const loadSession = () => access<StoredSession | undefined>("readonly", (store) => store.get(KEY));

async function saveSession(session: Session): Promise<void> {
  const expires_at = Date.now() + session.expires_in * 1000;
  await access("readwrite", (store) => store.put({ ...session, expires_at }, KEY));
}

let onChange = () => {};
otherTabs.onmessage = () => onChange();

/** Calls back when the user signs in or out, here or in another tab. */
export function onSessionChange(callback: () => void): void {
  onChange = callback;
}

function announce(): void {
  otherTabs.postMessage("session changed");
  onChange();
}

export const signIn = (session: Session) => saveSession(session).then(announce);
export const forgetSession = () => access("readwrite", (store) => store.delete(KEY)).then(announce);

/** Returns a valid access token, and a new one if the server has rejected the last. */
export async function accessToken(rejected?: string): Promise<string> {
  const usable = ({ access_token, expires_at }: StoredSession) =>
    access_token !== rejected && Date.now() < expires_at - EXPIRY_MARGIN_MS;
  const session = await loadSession();
  if (!session) throw new SignedOut();
  if (usable(session)) return session.access_token;
  // A refresh token works once, and all tabs share it: one tab at a time refreshes.
  return navigator.locks.request(REFRESH_LOCK, async () => {
    const current = await loadSession();
    if (!current) throw new SignedOut();
    if (usable(current)) return current.access_token;
    try {
      const { data } = await send(() => refreshSession({ body: { refresh_token: current.refresh_token } }));
      // The user may have signed out in the meantime.
      if ((await loadSession())?.refresh_token !== current.refresh_token) throw new SignedOut();
      await saveSession(data);
      return data.access_token;
    } catch (error) {
      if (!(error instanceof RequestFailed)) throw error;
      await forgetSession();
      throw new SignedOut();
    }
  });
}
