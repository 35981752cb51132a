import { client } from "./client/client.gen";
import { accessToken } from "./session";

/** Sends a request of the generated client, and once more with a new token if its access token is rejected. */
export const fetchWithToken: typeof fetch = async (input, init) => {
  const request = new Request(input, init);
  const again = request.clone();
  const response = await fetch(request);
  const token = request.headers.get("Authorization")?.replace("Bearer ", "");
  if (response.status !== 401 || !token) return response;
  again.headers.set("Authorization", `Bearer ${await accessToken(token)}`);
  return fetch(again);
};

client.setConfig({
  baseUrl: import.meta.env.VITE_API_URL ?? "http://127.0.0.1:3000",
  auth: () => accessToken(),
  fetch: fetchWithToken,
});
