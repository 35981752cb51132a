import "./api";
import { showBoard } from "./board_view";
import { createProject, listProjects, login, logout, register, type Project } from "./client";
import { app, button, el, field, form } from "./dom";
import { send } from "./send";
import { SignedOut, forgetSession, loadSession, onSessionChange, signIn } from "./session";

/** Ends what the previous page has running. */
let leave = new AbortController();
let userName = "";

function showSignIn(): void {
  // Neither request can be repeated safely after an unknown outcome, so the user decides.
  const returning = form(
    "Sign in",
    async ({ email = "", password = "" }) => {
      await signIn((await send(() => login({ body: { email, password } }), 1)).data);
    },
    field("E-mail", { name: "email", type: "email", autocomplete: "username" }),
    field("Password", { name: "password", type: "password", autocomplete: "current-password" }),
  );
  const joining = form(
    "Create account",
    async ({ email = "", name = "", password = "" }) => {
      await signIn((await send(() => register({ body: { email, name, password } }), 1)).data);
    },
    field("Name", { name: "name", autocomplete: "name", maxLength: 100 }),
    field("E-mail", { name: "email", type: "email", autocomplete: "username" }),
    field("Password", { name: "password", type: "password", autocomplete: "new-password", minLength: 8 }),
  );
  const section = (title: string, content: Node) => el("section", {}, el("h2", {}, title), content);
  app.replaceChildren(
    el("header", {}, el("h1", {}, "Pocket Tasks")),
    el("main", { className: "narrow" }, section("Sign in", returning), section("Create an account", joining)),
  );
}

async function signOut(): Promise<void> {
  await send(() => logout(), 1).catch(() => {});
  await forgetSession();
}

function header(title: string, ...others: Node[]): HTMLElement {
  const user = el("span", { textContent: userName });
  return el(
    "header",
    {},
    el("h1", { textContent: title }),
    ...others,
    user,
    button("Sign out", () => void signOut()),
  );
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

async function show(): Promise<void> {
  leave.abort();
  leave = new AbortController();
  const { signal } = leave;
  const session = await loadSession();
  if (signal.aborted) return;
  const projectId = location.hash.slice(1);
  userName = session?.user.name ?? "";
  if (!session) showSignIn();
  else if (projectId) await showBoard(projectId, header, signal);
  else await showProjects(signal);
}

window.addEventListener("hashchange", () => void show());
onSessionChange(() => void show());
// The sign-in page is shown already.
window.addEventListener("unhandledrejection", (event) => {
  if (event.reason instanceof SignedOut) event.preventDefault();
});
void show();
