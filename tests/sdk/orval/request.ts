import { baseUrl } from "./steps.js";

let token: string | undefined;

export function signIn(accessToken: string): void {
  token = accessToken;
}

/** Sends the requests of the generated client: adds the address of the server and the token. */
export async function request<T>(path: string, options: RequestInit): Promise<T> {
  const headers = new Headers(options.headers);
  if (token !== undefined && !headers.has("authorization")) headers.set("authorization", `Bearer ${token}`);
  const response = await fetch(`${baseUrl}${path}`, { ...options, headers });
  const text = await response.text();
  return { data: text === "" ? undefined : JSON.parse(text), status: response.status, headers: response.headers } as T;
}
