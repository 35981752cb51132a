import { Board, type Draft, type Patch } from "./board";
import { getProject, type Task } from "./client";
import { app, button, el, field, form, notify, reconcile } from "./dom";
import { follow } from "./follow";
import { RequestFailed, send } from "./send";

const COLUMNS = { todo: "To do", in_progress: "In progress", done: "Done" };
type Status = keyof typeof COLUMNS;
const STATUSES = Object.keys(COLUMNS) as Status[];
// Later versions of the API may add statuses.
const columnOf = (task: Task): Status => (task.status in COLUMNS ? task.status : "todo");

type Header = (title: string, ...others: Node[]) => HTMLElement;

/** Shows the board of a project and follows its events until the signal is aborted. */
export async function showBoard(projectId: string, header: Header, signal: AbortSignal): Promise<void> {
  app.replaceChildren(header("Loading…"));
  try {
    const { data: project } = await send(() => getProject({ path: { project_id: projectId } }));
    if (signal.aborted) return;
    const canEdit = project.role !== "viewer" && !project.archived;
    const board = new Board(projectId, () => render(), notify);
    const render = view(board, canEdit);
    const connection = el("span", { className: "connection", role: "status", textContent: "Connecting…" });
    app.prepend(header(project.name, connection, el("a", { href: "#", textContent: "All projects" })));
    await follow(projectId, await board.load(), signal, {
      apply: (event) => (event.type === "project.deleted" ? leave("The project was deleted.") : board.apply(event)),
      reload: () => board.load(),
      onStatus: (live) => (connection.textContent = live ? "Live" : "Reconnecting…"),
      onForbidden: () => leave("You are no longer a member of this project."),
    });
  } catch (error) {
    if (!(error instanceof RequestFailed)) throw error;
    if (!signal.aborted) leave(error.message);
  }
}

function leave(message: string): void {
  notify(message);
  location.hash = "";
}

/** Replaces the page by the board and returns the function that shows its current state. */
function view(board: Board, canEdit: boolean): () => void {
  const create = form(
    "Add",
    async ({ title = "" }) => {
      // Not awaited: the next task can be entered at once.
      void board.create(title);
      create.reset();
    },
    field("New task", { name: "title", maxLength: 200, autocomplete: "off" }),
  );
  const columns = STATUSES.map((status) => column(board, status));
  const editor = new Editor(board);
  const lists = el("div", { className: "columns" }, ...columns.map(({ root }) => root));
  app.replaceChildren(el("main", {}, ...(canEdit ? [create] : []), lists, editor.dialog));

  const cards = new Map<string, Card>();
  return () => {
    const tasks = board.tasks;
    for (const { status, list, count } of columns) {
      const elements = tasks
        .filter((task) => columnOf(task) === status)
        .map((task) => {
          const card = cards.get(task.id) ?? new Card(board, editor, canEdit);
          cards.set(task.id, card);
          card.update(task);
          return card.root;
        });
      reconcile(list, status === "todo" ? [...elements, ...board.drafts.map(draftCard)] : elements);
      count.textContent = `${elements.length}`;
    }
  };
}

function column(board: Board, status: Status) {
  const list = el("ul");
  const count = el("span", { className: "count" });
  const root = el(
    "section",
    {
      ariaLabel: COLUMNS[status],
      ondragover: (event) => event.preventDefault(),
      ondrop: (event) => {
        event.preventDefault();
        const id = event.dataTransfer?.getData("text/plain");
        const task = board.tasks.find((other) => other.id === id);
        if (task && task.status !== status) void board.update(task, { status });
      },
    },
    el("h2", {}, COLUMNS[status], " ", count),
    list,
  );
  return { status, list, count, root };
}

const draftCard = ({ title }: Draft) =>
  el("li", { className: "card saving" }, el("h3", { textContent: title }), "Saving…");

class Card {
  readonly root: HTMLLIElement;
  #task: Task | undefined;
  #title = el("h3");
  #description = el("p");
  #status = el("div", { className: "status", role: "group" });
  #buttons: Record<Status, HTMLButtonElement>;
  #edit = button("Edit", () => this.#task && this.editor.open(this.#task));
  #delete = button("Delete", () => this.#task && void this.board.remove(this.#task));

  constructor(
    private readonly board: Board,
    private readonly editor: Editor,
    canEdit: boolean,
  ) {
    const move = (status: Status) => () => this.#task && void board.update(this.#task, { status });
    this.#buttons = Object.fromEntries(
      STATUSES.map((status) => [status, button(COLUMNS[status], move(status))]),
    ) as Record<Status, HTMLButtonElement>;
    this.#status.append(...Object.values(this.#buttons));
    const actions = canEdit ? [this.#status, el("div", { className: "actions" }, this.#edit, this.#delete)] : [];
    this.root = el("li", { className: "card", draggable: canEdit }, this.#title, this.#description, ...actions);
    this.root.ondragstart = (event) => event.dataTransfer?.setData("text/plain", this.#task?.id ?? "");
  }

  update(task: Task): void {
    this.#task = task;
    this.#title.textContent = task.title;
    this.#description.textContent = task.description;
    this.#status.ariaLabel = `Status of ${task.title}`;
    this.#edit.ariaLabel = `Edit ${task.title}`;
    this.#delete.ariaLabel = `Delete ${task.title}`;
    for (const status of STATUSES) this.#buttons[status].ariaPressed = `${task.status === status}`;
    this.root.classList.toggle("saving", this.board.isSaving(task.id));
  }
}

class Editor {
  #title = el("input", { name: "title", required: true, maxLength: 200 });
  #description = el("textarea", { name: "description", maxLength: 10_000, rows: 6 });
  #form = el(
    "form",
    { method: "dialog" },
    el("label", {}, "Title", this.#title),
    el("label", {}, "Description", this.#description),
    el("button", { textContent: "Save" }),
    button("Cancel", () => this.dialog.close()),
  );
  readonly dialog = el("dialog", { ariaLabel: "Edit task" }, this.#form);

  constructor(private readonly board: Board) {}

  open(task: Task): void {
    this.#title.value = task.title;
    this.#description.value = task.description ?? "";
    this.#form.onsubmit = () => {
      // Only the fields that the user changed: others may have changed elsewhere while the dialog was open.
      const patch: Patch = {};
      if (this.#title.value !== task.title) patch.title = this.#title.value;
      if (this.#description.value !== (task.description ?? "")) patch.description = this.#description.value || null;
      if (Object.keys(patch).length > 0) void this.board.update(task, patch);
    };
    this.dialog.showModal();
  }
}
