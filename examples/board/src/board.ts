import { createTask, deleteTask, getTask, listProjectTasksV2, updateTask } from "./client";
import type { Event, StaleTask, Task } from "./client";
import { RequestFailed, send } from "./send";

export type Fields = Pick<Task, "title" | "description" | "status">;
export type Patch = Partial<Fields>;
/** A task that is being created; its key is also its request id, by which its event is recognized. */
export type Draft = { key: string; title: string };

type Notify = (message: string, action?: { label: string; run: () => void }) => void;

/** The tasks of a project as the server confirmed them, and on top of them what the user changed since. */
export class Board {
  drafts: Draft[] = [];
  #tasks = new Map<string, Task>();
  /** Changes in flight, oldest first. */
  #changes: { id: string; patch: Patch }[] = [];
  #deleting = new Set<string>();
  /** Lists and events carry the version of a task, but not its ETag. */
  #tags = new Map<string, { version: number; tag: string }>();
  #queues = new Map<string, Promise<void>>();

  constructor(
    readonly projectId: string,
    private readonly onChange: () => void,
    private readonly notify: Notify,
  ) {}

  /** Reads all tasks and returns the cursor from which to follow the events. */
  async load(): Promise<string> {
    const tasks = new Map<string, Task>();
    let cursor: string | undefined;
    let sync: string | undefined;
    do {
      const query = { sort: "position", limit: 100, cursor } as const;
      const { data: page } = await send(() => listProjectTasksV2({ path: { project_id: this.projectId }, query }));
      sync ??= page.meta.sync_cursor;
      for (const task of page.data) tasks.set(task.id, task);
      cursor = page.meta.next_cursor ?? undefined;
    } while (cursor);
    this.#tasks = tasks;
    this.onChange();
    return sync;
  }

  /** The tasks to show, in order. */
  get tasks(): Task[] {
    return [...this.#tasks.values()]
      .filter((task) => task.project_id === this.projectId && !task.deleted_at && !this.#deleting.has(task.id))
      .map((task): Task => Object.assign({}, task, ...this.#changesOf(task.id)))
      .sort((a, b) => (a.position < b.position ? -1 : 1));
  }

  isSaving(id: string): boolean {
    return this.#changesOf(id).length > 0;
  }

  #changesOf(id: string): Patch[] {
    return this.#changes.filter((change) => change.id === id).map(({ patch }) => patch);
  }

  apply(event: Event): void {
    if (!event.type.startsWith("task.")) return;
    this.drafts = this.drafts.filter(({ key }) => key !== event.request_id);
    this.#put(event.data as Task);
  }

  async create(title: string): Promise<void> {
    const draft = { key: crypto.randomUUID(), title };
    this.drafts.push(draft);
    this.onChange();
    try {
      const headers = { "Idempotency-Key": draft.key, "X-Request-Id": draft.key };
      const { data, response } = await send(() =>
        createTask({ path: { project_id: this.projectId }, body: { title }, headers }),
      );
      this.#put(data, response);
    } catch (error) {
      this.#failed(`“${title}” was not created.`, error);
    } finally {
      this.drafts = this.drafts.filter((other) => other !== draft);
      this.onChange();
    }
  }

  /** Shows a change at once and saves it after the earlier ones of the task. `seen` is what the user changed. */
  update(seen: Task, patch: Patch): Promise<void> {
    const change = { id: seen.id, patch };
    this.#changes.push(change);
    this.onChange();
    const saved = (this.#queues.get(seen.id) ?? Promise.resolve())
      .then(() => this.#save(seen, patch))
      .catch((error: unknown) => this.#failed(`“${seen.title}” was not saved.`, error))
      .finally(() => {
        this.#changes = this.#changes.filter((other) => other !== change);
        this.onChange();
      });
    this.#queues.set(seen.id, saved);
    return saved;
  }

  async remove(seen: Task): Promise<void> {
    this.#deleting.add(seen.id);
    this.onChange();
    try {
      const { tag } = await this.#tagged(seen);
      const headers = { "If-Match": tag, "Idempotency-Key": crypto.randomUUID() };
      await send(() => deleteTask({ path: { task_id: seen.id }, headers }));
      this.#put({ ...seen, deleted_at: new Date().toISOString() });
    } catch (error) {
      if (this.#putCurrent(error)) this.notify(`“${seen.title}” was changed at the same time. Look at it first.`);
      else this.#failed(`“${seen.title}” was not deleted.`, error);
    } finally {
      this.#deleting.delete(seen.id);
      this.onChange();
    }
  }

  async #save(seen: Task, patch: Patch): Promise<void> {
    for (;;) {
      const { task, tag } = await this.#tagged(this.#tasks.get(seen.id) ?? seen);
      const body = this.#merge(seen, patch, task);
      if (Object.keys(body).length === 0) return;
      const headers = { "If-Match": tag, "Idempotency-Key": crypto.randomUUID() };
      try {
        const { data, response } = await send(() => updateTask({ path: { task_id: seen.id }, body, headers }));
        return this.#put(data, response);
      } catch (error) {
        if (!this.#putCurrent(error)) throw error;
        [seen, patch] = [task, body];
      }
    }
  }

  /** Returns what remains to be changed. Where another user changed the same field, their value is kept. */
  #merge(seen: Fields, patch: Patch, current: Task): Patch {
    const rest: Patch = {};
    for (const field of Object.keys(patch) as (keyof Patch)[]) {
      if (current[field] === patch[field]) continue;
      if (current[field] === seen[field]) Object.assign(rest, { [field]: patch[field] });
      else
        this.notify(
          `The ${field} of “${current.title}” was changed to “${current[field] ?? ""}” at the same time. ` +
            `Your “${patch[field] ?? ""}” was not saved.`,
          { label: "Use mine", run: () => void this.update(current, { [field]: patch[field] }) },
        );
    }
    return rest;
  }

  /** Returns a task with the ETag of its version, which is requested if no response has contained it. */
  async #tagged(task: Task): Promise<{ task: Task; tag: string }> {
    const known = this.#tags.get(task.id);
    if (known?.version === task.version) return { task, tag: known.tag };
    const { data, response } = await send(() => getTask({ path: { task_id: task.id } }));
    this.#put(data, response);
    return { task: data, tag: response.headers.get("ETag") ?? "*" };
  }

  /** Stores a task unless a newer version is known: responses and events overtake each other. */
  #put(task: Task, response?: Response): void {
    const tag = response?.headers.get("ETag");
    if (tag) this.#tags.set(task.id, { version: task.version, tag });
    if (task.version >= (this.#tasks.get(task.id)?.version ?? 0)) this.#tasks.set(task.id, task);
    this.onChange();
  }

  #putCurrent(error: unknown): boolean {
    if (!(error instanceof RequestFailed) || error.response.status !== 412) return false;
    this.#put((error.body as unknown as StaleTask).current, error.response);
    return true;
  }

  #failed(message: string, error: unknown): void {
    if (!(error instanceof RequestFailed)) throw error;
    if (error.body.error === "NOT_FOUND") this.notify(`${message} The task was deleted.`);
    else this.notify(`${message} ${error.message}`);
  }
}
