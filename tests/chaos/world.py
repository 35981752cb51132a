"""What clients know, and the content of their tasks."""

import threading

PASSWORD = "sailing kitchen demo"
STATUSES = ["todo", "in_progress", "done"]
PRIORITIES = ["none", "low", "medium", "high", "urgent"]
MAX_KNOWN_TASKS = 400


class World:
    """Resources that clients know of."""

    def __init__(self):
        self.lock = threading.Lock()
        self.projects: list[str] = []  # one of each client, in their order: never deleted
        self.users: list[str] = []
        self.tasks: dict[str, list[str]] = {}
        self.comments: list[tuple[int, str]] = []  # author and id

    def add_task(self, project: str, task: str) -> None:
        with self.lock:
            known = self.tasks.setdefault(project, [])
            known.append(task)
            if len(known) > MAX_KNOWN_TASKS:
                del known[0]


def new_fields(rng, text) -> dict:
    """Fields of a task, of which the title changes with each call."""
    fields = {"title": text("Task")}
    if rng.random() < 0.5:
        fields["status"] = rng.choice(STATUSES)
    if rng.random() < 0.2:
        fields["priority"] = rng.choice(PRIORITIES)
    if rng.random() < 0.2:
        fields["description"] = rng.choice([None, text("Description") * rng.randrange(1, 40)])
    if rng.random() < 0.2:
        fields["labels"] = rng.sample(["light", "shopping", "tiles", "water"], rng.randrange(4))
    if rng.random() < 0.1:
        fields["due_at"] = rng.choice([None, "2027-01-31T09:00:00.000Z"])
    return fields
