import { refreshSession, type Session } from "./client";
import { RequestFailed, send } from "./send";

const STORAGE_KEY = "pocket-tasks-session";
const REFRESH_LOCK = "pocket-tasks-refresh";
/** A token that expires during its request would be rejected. */
const EXPIRY_MARGIN_MS = 30_000;

type StoredSession = Session & { expires_at: number };

export class SignedOut extends Error {}

export function loadSession(): StoredSession | undefined {
  return JSON.parse(localStorage.getItem(STORAGE_KEY) ?? "null") ?? undefined;
}

export function saveSession(session: Session): void {
  const expires_at = Date.now() + session.expires_in * 1000;
  localStorage.setItem(STORAGE_KEY, JSON.stringify({ ...session, expires_at }));
}

export function clearSession(): void {
  localStorage.removeItem(STORAGE_KEY);
}

/** Calls back when another tab signs in or out, but not when it refreshes the session. */
export function onOtherUser(callback: () => void): void {
  const userId = loadSession()?.user.id;
  window.addEventListener("storage", () => {
    if (loadSession()?.user.id !== userId) callback();
  });
}

/** Returns a valid access token, and a new one if the server has rejected the last. */
export async function accessToken(rejected?: string): Promise<string> {
  const usable = ({ access_token, expires_at }: StoredSession) =>
    access_token !== rejected && Date.now() < expires_at - EXPIRY_MARGIN_MS;
  const session = loadSession();
  if (!session) throw new SignedOut();
  if (usable(session)) return session.access_token;
  // A refresh token works once, and all tabs share it: one tab at a time refreshes.
  return navigator.locks.request(REFRESH_LOCK, async () => {
    const current = loadSession();
    if (!current) throw new SignedOut();
    if (usable(current)) return current.access_token;
    try {
      const { data } = await send(() => refreshSession({ body: { refresh_token: current.refresh_token } }));
      // The user may have signed out in another tab in the meantime.
      if (loadSession()?.refresh_token !== current.refresh_token) throw new SignedOut();
      saveSession(data);
      return data.access_token;
    } catch (error) {
      if (!(error instanceof RequestFailed)) throw error;
      clearSession();
      throw new SignedOut();
    }
  });
}
