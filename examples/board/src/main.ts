import "./api";
import { showBoard } from "./board_view";
import { createProject, listProjects, login, logout, register, type Project } from "./client";
import { button, el, field, form } from "./dom";
import { send } from "./send";
import { SignedOut, clearSession, loadSession, onOtherUser, saveSession } from "./session";

const app = document.getElementById("app") as HTMLElement;
/** Ends what the previous page has running. */
let leave = new AbortController();

function showSignIn(): void {
  // Neither request can be repeated safely after an unknown outcome, so the user decides.
  const signIn = form(
    "Sign in",
    "Sign in",
    async ({ email = "", password = "" }) => {
      saveSession((await send(() => login({ body: { email, password } }), 1)).data);
      show();
    },
    field("E-mail", { name: "email", type: "email", autocomplete: "username" }),
    field("Password", { name: "password", type: "password", autocomplete: "current-password" }),
  );
  const signUp = form(
    "Create an account",
    "Create account",
    async ({ email = "", name = "", password = "" }) => {
      saveSession((await send(() => register({ body: { email, name, password } }), 1)).data);
      show();
    },
    field("Name", { name: "name", autocomplete: "name", maxLength: 100 }),
    field("E-mail", { name: "email", type: "email", autocomplete: "username" }),
    field("Password (at least 8 characters)", {
      name: "password",
      type: "password",
      autocomplete: "new-password",
      minLength: 8,
    }),
  );
  app.replaceChildren(
    el("header", {}, el("h1", { textContent: "Pocket Tasks" })),
    el(
      "main",
      { className: "narrow" },
      el("section", {}, el("h2", { textContent: "Sign in" }), signIn),
      el("section", {}, el("h2", { textContent: "Create an account" }), signUp),
    ),
  );
}

async function signOut(): Promise<void> {
  await send(() => logout(), 1).catch(() => {});
  clearSession();
  show();
}

function header(title: string, ...others: Node[]): HTMLElement {
  const user = el("span", { textContent: loadSession()?.user.name ?? "" });
  return el("header", {}, el("h1", { textContent: title }), ...others, user, button("Sign out", () => void signOut()));
}

async function listAllProjects(): Promise<Project[]> {
  const projects: Project[] = [];
  for (let page = 1; ; page++) {
    const { data } = await send(() => listProjects({ query: { sort: "name", limit: 100, page } }));
    projects.push(...data.data);
    if (!data.meta.has_more) return projects;
  }
}

async function showProjects(signal: AbortSignal): Promise<void> {
  const create = form(
    "Create a project",
    "Create project",
    async ({ name = "" }) => {
      const headers = { "Idempotency-Key": crypto.randomUUID() };
      const { data } = await send(() => createProject({ body: { name }, headers }));
      location.hash = data.id;
    },
    field("New project", { name: "name", maxLength: 100, autocomplete: "off" }),
  );
  const list = el("ul", { className: "projects" }, el("li", { textContent: "Loading…" }));
  app.replaceChildren(header("Projects"), el("main", { className: "narrow" }, list, create));
  const projects = await listAllProjects();
  if (signal.aborted) return;
  list.replaceChildren(
    ...projects.map(({ id, name, role }) =>
      el("li", {}, el("a", { href: `#${id}`, textContent: name }), el("small", { textContent: ` ${role}` })),
    ),
  );
}

function show(): void {
  leave.abort();
  leave = new AbortController();
  const projectId = location.hash.slice(1);
  if (!loadSession()) showSignIn();
  else if (projectId) void showBoard(app, projectId, header, leave.signal);
  else void showProjects(leave.signal);
}

window.addEventListener("hashchange", show);
onOtherUser(show);
// Any request can find that the session has ended.
window.addEventListener("unhandledrejection", (event) => {
  if (!(event.reason instanceof SignedOut)) return;
  event.preventDefault();
  show();
});
show();
