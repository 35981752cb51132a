// Tests of /docs and the guides in headless Chromium. Started by tests/browser/run.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";

const { BASE_URL, CHROMIUM, NODE_PACKAGES, SCREENSHOTS } = process.env;
const { chromium } = createRequire(`${NODE_PACKAGES}/`)("playwright-core");

const desktop = { width: 1366, height: 768 };
const phone = { width: 390, height: 844 };
const credentials = { email: `browser-${Date.now()}@example.com`, password: "a long enough password" };

let browser;
let description;

before(async () => {
  description = await (await fetch(`${BASE_URL}/openapi.json`)).json();
  const registered = await post("/v1/auth/register", { name: "Ada", ...credentials });
  assert.equal(registered.status, 201, await registered.text());
  browser = await chromium.launch({ executablePath: CHROMIUM });
});

after(() => browser?.close());

function post(path, body) {
  return fetch(BASE_URL + path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
}

// Registers a test with a page of its own. It fails on every message that the browser logs as an error, such as a
// violation of the Content-Security-Policy. The browser logs error responses too: a test names those it causes.
function pageTest(name, { viewport = desktop, causes = [] }, run) {
  test(name, { timeout: 600_000 }, async () => {
    const context = await browser.newContext({ viewport, baseURL: BASE_URL });
    try {
      const page = await context.newPage();
      page.setDefaultTimeout(120_000);
      const problems = [];
      page.on("pageerror", (error) => problems.push(`uncaught ${error.message}`));
      page.on("console", (message) => {
        if (message.type() === "error" && !causes.some((status) => message.text().includes(`status of ${status} `))) {
          problems.push(`${message.text()} (${message.location().url})`);
        }
      });
      try {
        await run(page);
        assert.deepEqual(problems, [], "The browser logged errors.");
      } catch (error) {
        if (SCREENSHOTS) {
          mkdirSync(SCREENSHOTS, { recursive: true });
          await page.screenshot({ path: `${SCREENSHOTS}/${name.replaceAll(/\W+/g, "-")}.png`, fullPage: true });
        }
        throw error;
      }
    } finally {
      await context.close();
    }
  });
}

async function openDocs(page, hash = "", path = "/docs") {
  // Another fragment alone would not load the page again.
  await page.goto("about:blank");
  await page.goto(path + hash);
  await page.locator(".opblock-tag").first().waitFor();
}

function operation(page, tag, id) {
  return page.locator(`#operations-${tag}-${id}`);
}

// Fills in the body of an opened operation, executes it and returns status and body of the response.
async function execute(opened, body) {
  // Otherwise the response to the request before stays until the next one arrives.
  const clear = opened.locator(".btn-clear");
  if (await clear.count()) await clear.click();
  await opened.locator(".body-param__text").fill(JSON.stringify(body, null, 2));
  await opened.locator(".btn.execute").click();
  const response = opened.locator(".live-responses-table tbody");
  const status = Number(await response.locator(".response-col_status").innerText());
  const text = await response.locator(".response-col_description .highlight-code pre").first().innerText();
  return { status, body: JSON.parse(text) };
}

async function logIn(page) {
  await openDocs(page, "#/Auth/login");
  const { status, body } = await execute(operation(page, "Auth", "login"), credentials);
  assert.equal(status, 200, JSON.stringify(body));
  return body.access_token;
}

async function authorize(page) {
  const token = await logIn(page);
  await page.locator(".scheme-container .btn.authorize").click();
  const dialog = page.locator(".dialog-ux");
  await dialog.locator("input").first().waitFor();
  assert.equal(await dialog.locator(".auth-container").count(), 1, "There is more than one box.");
  assert.equal(await dialog.locator("input").count(), 1);
  await dialog.locator("input").fill(token);
  await dialog.locator(".btn.authorize").click();
  await dialog.locator(".btn-done").click();
}

// Elements that reach beyond the right edge of the page, unless they scroll in a box of their own.
async function assertNoSidewaysScrolling(page, where) {
  const { width, wide } = await page.evaluate(() => {
    const { clientWidth, scrollWidth } = document.documentElement;
    const inScrollingBox = (element) =>
      element !== document.body &&
      element !== document.documentElement &&
      (getComputedStyle(element).overflowX !== "visible" || inScrollingBox(element.parentElement));
    const wide = [...document.body.querySelectorAll("*")].filter(
      (element) =>
        element.checkVisibility() &&
        element.getBoundingClientRect().right > clientWidth + 1 &&
        !inScrollingBox(element.parentElement),
    );
    return {
      width: scrollWidth - clientWidth,
      wide: wide.slice(0, 5).map((element) => element.outerHTML.slice(0, 120)),
    };
  });
  assert.deepEqual({ width, wide }, { width: 0, wide: [] }, `${where} is too wide.`);
}

function tagsWithOperations() {
  const used = new Set(
    Object.values(description.paths)
      .flatMap((path) => Object.values(path))
      .flatMap((operation) => operation.tags ?? []),
  );
  return description.tags.map((tag) => tag.name).filter((name) => used.has(name));
}

async function assertHeadFits(page, height) {
  const headings = page.locator(".opblock-tag");
  assert.deepEqual(await headings.locator("> a").allInnerTexts(), tagsWithOperations());
  const webhooks = page.locator(".webhooks-container summary").first();
  assert.equal(await page.evaluate(() => scrollY), 0);
  for (const element of [page.locator(".scheme-container .btn.authorize"), ...(await headings.all()), webhooks]) {
    const box = await element.boundingBox();
    const text = (await element.innerText()).split("\n")[0];
    assert.ok(box.y >= 0 && box.y + box.height <= height, `${text} ends at ${box.y + box.height}.`);
  }
}

pageTest("authorize and all tags stand on the first screen", {}, async (page) => {
  await openDocs(page);
  await assertHeadFits(page, desktop.height);
  await assertNoSidewaysScrolling(page, "/docs");
});

pageTest("authorize and all tags stand within two screens on a phone", { viewport: phone }, async (page) => {
  await openDocs(page);
  await assertHeadFits(page, 2 * phone.height);
});

// Swagger UI takes seconds to open an operation, so only one of each tag and the one with most parameters are tested.
pageTest("operations do not make the page scroll sideways on a phone", { viewport: phone }, async (page) => {
  await openDocs(page, "#/Tasks/listTasksV2");
  await operation(page, "Tasks", "listTasksV2").locator(".responses-table").waitFor();
  await assertNoSidewaysScrolling(page, "listTasksV2");

  await openDocs(page);
  await assertNoSidewaysScrolling(page, "/docs");
  const sections = [...(await page.locator(".opblock-tag-section").all()), page.locator(".webhooks-container")];
  for (const section of sections) {
    const toggle = section.locator("> .opblock-tag > .expand-operation, .closed-part > summary").first();
    await toggle.click();
    const first = section.locator(".opblock").first();
    await first.locator(".opblock-summary-control").click();
    await first.locator(".responses-table").waitFor();
    await assertNoSidewaysScrolling(page, await first.getAttribute("id"));
    await toggle.click();
  }
});

pageTest("every guide is readable", {}, async (page) => {
  for (const path of await guides(page)) {
    const response = await page.goto(path);
    assert.equal(response.status(), 200, path);
    assert.match(response.headers()["content-security-policy"], /^default-src 'none'; style-src 'self'/);
    assert.equal(await page.locator("main h1").count(), 1, path);
    assert.equal(await page.locator('header a[href="/docs"]').count(), 1, path);
    const current = page.locator("nav a[aria-current=page]");
    assert.equal(await current.getAttribute("href"), path);
    assert.notEqual(await current.evaluate((element) => getComputedStyle(element).backgroundColor), "rgba(0, 0, 0, 0)");
    for (const viewport of [desktop, phone]) {
      await page.setViewportSize(viewport);
      await assertNoSidewaysScrolling(page, `${path} at ${viewport.width} pixels`);
    }
  }
});

// Paths of the guides to which the description and the tags link.
async function guides(page) {
  await openDocs(page);
  const links = await page
    .locator('.info a[href^="/guides/"], .opblock-tag a[href^="/guides/"]')
    .evaluateAll((all) => all.map((element) => new URL(element.href).pathname));
  const paths = [...new Set(links)];
  assert.ok(paths.length > 0, "No guide is linked.");
  return paths;
}

pageTest("links of the guides lead somewhere", {}, async (page) => {
  const targets = new Map();
  const remaining = await guides(page);
  const seen = new Set(remaining);
  for (const path of remaining) {
    await page.goto(path);
    for (const href of await page.locator("a").evaluateAll((all) => all.map((element) => element.href))) {
      const url = new URL(href);
      if (url.origin === new URL(BASE_URL).origin) {
        targets.set(href, path);
        if (url.pathname.startsWith("/guides/") && !seen.has(url.pathname)) {
          seen.add(url.pathname);
          remaining.push(url.pathname);
        }
      }
    }
  }
  const broken = [];
  for (const [href, from] of targets) {
    const url = new URL(href);
    const response = await page.goto(href.replace(url.hash, ""));
    const anchor = url.pathname.startsWith("/guides/") ? decodeURIComponent(url.hash.slice(1)) : "";
    const found = anchor === "" || (await page.evaluate((id) => document.getElementById(id) !== null, anchor));
    if (!response.ok() || !found) {
      broken.push(`${url.pathname}${url.hash} in ${from}`);
    }
  }
  assert.deepEqual(broken, []);
});

pageTest("a project is created with a token from login", { causes: [400] }, async (page) => {
  await authorize(page);

  await openDocs(page, "#/Projects/createProject");
  const opened = operation(page, "Projects", "createProject");
  const created = await execute(opened, { name: "Garden" });
  assert.equal(created.status, 201, JSON.stringify(created.body));
  assert.equal(created.body.name, "Garden");

  for (const viewport of [phone, desktop]) {
    await page.setViewportSize(viewport);
    await assertNoSidewaysScrolling(page, `A response at ${viewport.width} pixels`);
  }
  const snippets = opened.locator(".request-snippets");
  assert.deepEqual(await snippets.locator(".btn").allInnerTexts(), ["curl", "fetch"]);
  const curl = await snippets.locator("pre").innerText();
  assert.match(curl, /^curl -X 'POST'/);
  assert.equal(execFileSync("bash", ["-c", curl.replace("curl ", "curl -s -o /dev/null -w '%{http_code}' ")]).toString(), "201");
  await snippets.locator(".btn", { hasText: "fetch" }).click();
  const script = await snippets.locator("pre").innerText();
  assert.match(script, /^const response = await fetch\(/);
  assert.match(execFileSync("node", ["--input-type=module", "--eval", script]).toString(), /^201 \{.*"name":"Garden"/);

  const refused = await execute(opened, { name: "", colour: "red" });
  assert.equal(refused.status, 400);
  assert.equal(refused.body.error, "VALIDATION_FAILED");
  assert.equal(typeof refused.body.message, "string");
  assert.equal(typeof refused.body.request_id, "string");
  assert.deepEqual(refused.body.details.map((detail) => [detail.in, detail.field]).sort(), [
    ["body", "colour"],
    ["body", "name"],
  ]);
});

pageTest("a request without a token shows the error", { causes: [401] }, async (page) => {
  await openDocs(page, "#/Projects/createProject");
  const { status, body } = await execute(operation(page, "Projects", "createProject"), { name: "Attic" });
  assert.equal(status, 401);
  assert.equal(body.error, "UNAUTHENTICATED");
});

pageTest("/docs/ works like /docs", {}, async (page) => {
  await openDocs(page, "#/Projects/createProject", "/docs/");
  await operation(page, "Projects", "createProject").locator(".btn.execute").waitFor();
});

pageTest("operation ids are shown and deep links open operations", {}, async (page) => {
  await openDocs(page, "#/Tasks/listTasksV2");
  const opened = operation(page, "Tasks", "listTasksV2");
  await opened.locator(".btn.execute").waitFor();
  assert.equal(await opened.locator(".opblock-summary-operation-id").innerText(), "listTasksV2");
});

pageTest("webhook messages open when asked for", {}, async (page) => {
  await openDocs(page);
  const message = operation(page, "webhooks", "onProjectCreated");
  assert.equal(await message.isVisible(), false);
  await openDocs(page, "#/webhooks/onProjectCreated");
  await message.locator(".request-url, .parameters-container, .opblock-section").first().waitFor();
});

pageTest("headers and common errors are one line each until they are opened", {}, async (page) => {
  await openDocs(page, "#/Projects/createProject");
  const responses = operation(page, "Projects", "createProject").locator(".responses-table");
  const unavailable = responses.locator('[data-code="503"]');
  await unavailable.waitFor();
  assert.ok((await unavailable.boundingBox()).height < 150);
  await unavailable.locator("summary", { hasText: "Example" }).click();
  assert.match(await unavailable.innerText(), /"error": "UNAVAILABLE"/);
  const created = responses.locator('[data-code="201"]');
  assert.doesNotMatch(await created.innerText(), /Idempotency-Replayed/);
  await created.locator("summary", { hasText: "Headers" }).click();
  assert.match(await created.innerText(), /Idempotency-Replayed/);
});

for (const path of ["/docs", "/guides"]) {
  pageTest(`${path} follows the color scheme of the system`, {}, async (page) => {
    await page.goto(path === "/docs" ? path : (await guides(page))[0]);
    for (const colorScheme of ["dark", "light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      await page.waitForFunction((isDark) => {
        const parts = (element) => getComputedStyle(element).backgroundColor.match(/[\d.]+/g).map(Number);
        const colors = [document.body, document.documentElement].map(parts).filter((color) => color[3] !== 0);
        // A page that sets no background is white.
        const brightness = Math.max(...(colors[0] ?? [255]).slice(0, 3));
        return isDark ? brightness < 64 : brightness > 192;
      }, colorScheme === "dark");
    }
  });
}
