"""Faults of a run, derived from the seed alone."""

import dataclasses
import random


@dataclasses.dataclass(frozen=True)
class Fault:
    at: float  # seconds after the start of the load
    kind: str
    instance: int
    pause: float  # seconds until the program or the database is started again

    def __str__(self) -> str:
        target = f" of server {self.instance}" if self.kind in SERVER_FAULTS else ""
        return f"{self.at:6.1f} s  {self.kind}{target}, {self.pause:.1f} s"


# Weights. `freeze` stops the process and continues it, as a paused virtual machine does.
SERVER_FAULTS = {"kill": 8, "terminate": 5, "freeze": 2}
POSTGRES_FAULTS = {
    "database crash": 3,  # all server processes of PostgreSQL end at once
    "database restart": 3,  # sessions are closed, the database shuts down in order
    "database kill": 2,  # SIGKILL to the main process of PostgreSQL
    "backend kill": 2,  # SIGKILL to one session, after which PostgreSQL recovers
    "kill everything": 2,  # all servers and the database
}


def faults(seed: int, seconds: float, instances: int, postgres: bool) -> list[Fault]:
    rng = random.Random(f"{seed}/faults")
    weights = SERVER_FAULTS | (POSTGRES_FAULTS if postgres else {})
    planned = []
    at = 3.0
    while at < seconds - 2:
        kind = rng.choices(list(weights), list(weights.values()))[0]
        # Half of the time at once: clients must meet servers that have just begun to recover.
        pause = rng.choice([0.0, rng.uniform(0.2, 3.0)]) if kind != "freeze" else rng.uniform(0.5, 4.0)
        planned.append(Fault(at, kind, rng.randrange(instances), pause))
        at += pause + rng.uniform(1.0, 8.0)
    return planned
