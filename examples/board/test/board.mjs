// Tests the board in two browser windows: Ada's, who owns the project, and Grace's, an editor.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, afterEach, before, test } from "node:test";
import { chromium } from "playwright-core";
import { build, preview } from "vite";

const PASSWORD = "correct horse battery";
const directory = await mkdtemp(join(tmpdir(), "board-"));
const [apiPort, boardPort] = [await freePort(), await freePort()];
const [api, origin] = [`http://127.0.0.1:${apiPort}`, `http://127.0.0.1:${boardPort}`];
/** Messages in the consoles of the pages, except failed requests that match `expected`. */
let errors = [];
let expected = /^$/;
let server, board, browser, ada, grace;

async function freePort() {
  const listener = createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address();
  listener.close();
  return port;
}

async function startServer() {
  const settings = { PORT: apiPort, CORS_ALLOWED_ORIGINS: origin, RATE_LIMIT_AUTH_PER_MINUTE: 0, BCRYPT_COST: 4 };
  server = spawn(process.env.POCKET_TASKS, {
    cwd: directory,
    env: { PATH: process.env.PATH, HOST: "127.0.0.1", ...settings },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines = createInterface({ input: server.stdout });
  await new Promise((resolve, reject) => {
    lines.on("line", (line) => line.includes("listening server.address") && resolve());
    server.on("exit", (code) => reject(new Error(`the server exited with ${code}`)));
  });
}

async function stopServer() {
  server.kill("SIGTERM");
  await once(server, "exit");
}

async function request(token, method, path, body) {
  const headers = { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) };
  const response = await fetch(api + path, { method, headers, body: JSON.stringify(body) });
  assert.ok(response.ok, `${method} ${path}: ${response.status}`);
  return response.json();
}

async function openWindow(context, url = origin) {
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => {
    const isExpected = message.text().startsWith("Failed to load resource") && expected.test(message.text());
    if (["error", "warning"].includes(message.type()) && !isExpected) errors.push(message.text());
  });
  await page.goto(url);
  return page;
}

const newWindow = async () => openWindow(await browser.newContext());
const column = (page, name) => page.getByRole("region", { name, exact: true });
const card = (scope, title) => {
  const heading = (scope.page?.() ?? scope).getByRole("heading", { name: title, exact: true });
  return scope.getByRole("listitem").filter({ has: heading });
};
const isLive = (page) => page.getByText("Live", { exact: true }).waitFor();
/** Returns the stored session of a window, after changing it. */
const session = (page, change = {}) =>
  page.evaluate(async (change) => {
    const settled = (request) => new Promise((resolve) => (request.onsuccess = () => resolve(request.result)));
    const database = await settled(indexedDB.open("pocket-tasks"));
    const store = database.transaction("sessions", "readwrite").objectStore("sessions");
    const session = { ...(await settled(store.get("current"))), ...change };
    await settled(store.put(session, "current"));
    database.close();
    return session;
  }, change);
const token = async (page) => (await session(page)).access_token;

async function add(page, title) {
  await page.getByLabel("New task").fill(title);
  await page.getByLabel("New task").press("Enter");
}

async function edit(page, title, label, value) {
  await page.getByRole("button", { name: `Edit ${title}`, exact: true }).click();
  await page.getByRole("dialog").getByLabel(label).fill(value);
  await page.getByRole("button", { name: "Save", exact: true }).click();
}

/** Holds the next matching request of a page. Resolves with a function that lets it continue. */
async function hold(page, url, method) {
  let arrived;
  const held = new Promise((resolve) => (arrived = resolve));
  await page.route(url, (route) => {
    if (route.request().method() !== method) return route.fallback();
    arrived(async () => {
      await route.continue();
      await page.unroute(url);
    });
  });
  return { held };
}

before(async () => {
  await startServer();
  process.env.VITE_API_URL = api;
  const options = { logLevel: "warn", build: { outDir: join(directory, "dist"), emptyOutDir: true } };
  await build(options);
  board = await preview({ ...options, preview: { host: "127.0.0.1", port: boardPort, strictPort: true } });
  // Chromium has no sandbox for root, as whom containers run.
  const args = process.getuid() === 0 ? ["--no-sandbox"] : [];
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args });
  [ada, grace] = [await newWindow(), await newWindow()];
});

after(async () => {
  await browser?.close();
  await board?.close();
  if (server.exitCode === null) await stopServer();
  await rm(directory, { recursive: true });
});

afterEach(() => {
  const seen = errors;
  [errors, expected] = [[], /^$/];
  assert.deepEqual(seen, []);
});

test("users register, sign in, create a project and open it", async () => {
  const signUp = ada.getByRole("form", { name: "Create account" });
  await signUp.getByLabel("Name").fill("Ada");
  await signUp.getByLabel("E-mail").fill("ada@example.com");
  await signUp.getByLabel("Password").fill(PASSWORD);
  await signUp.getByRole("button").click();
  await ada.getByLabel("New project").fill("Kitchen");
  await ada.getByRole("button", { name: "Create project" }).click();
  await ada.getByRole("heading", { name: "Kitchen" }).waitFor();

  const other = await request(undefined, "POST", "/v1/auth/register", {
    email: "grace@example.com",
    name: "Grace",
    password: PASSWORD,
  });
  const [project] = (await request(await token(ada), "GET", "/v1/projects")).data;
  const invitation = { email: "grace@example.com", role: "editor" };
  const { id } = await request(await token(ada), "POST", `/v1/projects/${project.id}/invitations`, invitation);
  await request(other.access_token, "POST", `/v1/invitations/${id}/accept`);

  const signIn = grace.getByRole("form", { name: "Sign in" });
  await signIn.getByLabel("E-mail").fill("grace@example.com");
  await signIn.getByLabel("Password").fill("not the password");
  expected = /401/;
  await signIn.getByRole("button").click();
  await grace.getByText("The e-mail address or the password is wrong.").waitFor();
  await signIn.getByLabel("Password").fill(PASSWORD);
  await signIn.getByRole("button").click();
  await grace.getByRole("link", { name: "Kitchen" }).click();
  await Promise.all([isLive(ada), isLive(grace)]);
});

test("a task appears in the other window without a reload, and moves by drag and by keyboard", async () => {
  await grace.evaluate(() => (window.notReloaded = true));
  await add(ada, "Choose the tiles");
  await card(column(grace, "To do"), "Choose the tiles").waitFor();
  await card(grace, "Choose the tiles").dragTo(column(grace, "Done"));
  await card(column(ada, "Done"), "Choose the tiles").waitFor();
  const start = card(grace, "Choose the tiles").getByRole("button", { name: "In progress" });
  await start.press("Enter");
  await card(column(ada, "In progress"), "Choose the tiles").waitFor();
  assert.ok(await start.evaluate((element) => element === document.activeElement));
  assert.ok(await grace.evaluate(() => window.notReloaded));
});

test("changes of different fields at the same time are merged", async () => {
  const { held } = await hold(ada, "**/v1/tasks/*", "PATCH");
  await edit(ada, "Choose the tiles", "Description", "Matte, 20 x 20 cm.");
  const release = await held;
  await card(ada, "Choose the tiles").getByText("Matte").waitFor();
  await card(grace, "Choose the tiles").getByRole("button", { name: "Done" }).click();
  await card(column(ada, "Done"), "Choose the tiles").waitFor();

  expected = /412/;
  const refused = ada.waitForResponse((response) => response.status() === 412);
  await release();
  await refused;
  await card(column(grace, "Done"), "Choose the tiles").getByText("Matte").waitFor();
  await ada.locator(".saving").waitFor({ state: "detached" });
  const [task] = (await request(await token(ada), "GET", "/v2/tasks")).data;
  assert.deepEqual([task.status, task.description], ["done", "Matte, 20 x 20 cm."]);
});

test("of two titles at the same time the first is kept, and the user can insist", async () => {
  const { held } = await hold(ada, "**/v1/tasks/*", "PATCH");
  await edit(ada, "Choose the tiles", "Title", "Choose the floor");
  const release = await held;
  await edit(grace, "Choose the tiles", "Title", "Choose the walls");
  await grace.locator(".saving").waitFor({ state: "detached" });
  expected = /412/;
  await release();
  await ada.getByText("was changed to “Choose the walls” at the same time").waitFor();
  await card(ada, "Choose the walls").waitFor();
  await ada.getByRole("button", { name: "Use mine" }).click();
  await card(grace, "Choose the floor").waitFor();
});

test("a creation whose response is lost is repeated with the same key and appears once", async () => {
  for (const page of [ada, grace]) {
    await page.evaluate(() => {
      window.mostCards = 0;
      new MutationObserver(() => {
        const cards = [...document.querySelectorAll("h3")].filter((title) => title.textContent === "Order the tiles");
        window.mostCards = Math.max(window.mostCards, cards.length);
      }).observe(document.body, { subtree: true, childList: true, characterData: true });
    });
  }
  const [keys, statuses] = [[], []];
  await ada.route("**/v1/projects/*/tasks", async (route) => {
    keys.push(await route.request().headerValue("idempotency-key"));
    const response = await route.fetch();
    statuses.push([response.status(), response.headers()["idempotency-replayed"]]);
    if (keys.length > 1) return route.fulfill({ response });
    // The other user sees the task before its creator has a response.
    await card(grace, "Order the tiles").waitFor();
    await route.abort();
  });
  expected = /net::ERR_FAILED/;
  const repeated = ada.waitForResponse((response) => response.request().method() === "POST");
  await add(ada, "Order the tiles");
  await repeated;
  await ada.unroute("**/v1/projects/*/tasks");
  await card(ada, "Order the tiles").and(ada.locator(":not(.saving)")).waitFor();

  assert.deepEqual(statuses, [
    [201, undefined],
    [201, "true"],
  ]);
  assert.equal(keys[0], keys[1]);
  assert.ok(keys[0]);
  assert.deepEqual([await ada.evaluate(() => window.mostCards), await grace.evaluate(() => window.mostCards)], [1, 1]);
  const tasks = (await request(await token(ada), "GET", "/v2/tasks")).data;
  assert.equal(tasks.filter(({ title }) => title === "Order the tiles").length, 1);
});

test("after a restart of the server, streams resume where they broke and changes are saved", async () => {
  expected = /net::ERR/;
  await stopServer();
  await Promise.all([ada, grace].map((page) => page.getByText("Reconnecting…").waitFor()));
  await add(ada, "Choose the lamps");
  await card(column(ada, "To do"), "Choose the lamps").getByText("Saving…").waitFor();

  const { held } = await hold(grace, "**/v1/events/stream?*", "GET");
  await startServer();
  const release = await held;
  await card(ada, "Choose the lamps").and(ada.locator(":not(.saving)")).waitFor();
  assert.equal(await card(grace, "Choose the lamps").count(), 0);
  await release();
  await card(grace, "Choose the lamps").waitFor();
  await Promise.all([isLive(ada), isLive(grace)]);
});

test("two tabs use a refresh token once", async () => {
  let refreshes = 0;
  let release;
  const released = new Promise((resolve) => (release = resolve));
  await ada.context().route("**/v1/auth/refresh", async (route) => {
    refreshes++;
    await released;
    await route.continue();
  });
  const before = await token(ada);
  await session(ada, { expires_at: 0 });
  const [second] = await Promise.all([openWindow(ada.context(), ada.url()), ada.reload()]);
  await second.waitForFunction(async () => {
    const { held, pending } = await navigator.locks.query();
    return held.length === 1 && pending.length === 1;
  });
  release();
  await Promise.all([isLive(ada), isLive(second)]);
  assert.equal(refreshes, 1);
  assert.notEqual(await token(ada), before);
  await second.close();
});

test("a rejected access token is refreshed, and the request repeated", async () => {
  await session(ada, { access_token: "expired" });
  expected = /401/;
  await add(ada, "Measure the walls");
  await card(grace, "Measure the walls").waitFor();
});

test("signing out in one tab signs out the other", async () => {
  const second = await openWindow(ada.context());
  await second.getByRole("link", { name: "Kitchen" }).waitFor();
  await ada.getByRole("button", { name: "Sign out" }).click();
  await second.getByRole("form", { name: "Sign in" }).waitFor();
});
