"""Memory of a long comparison: what the process holds as searches finish, caches apart.

The curve must be flat once the prefix caches are full; what grows after that is a leak. Beside the
resident memory stands what the two prefix trees hold by their own count: the rest is the
interpreter, the libraries, the slots of running rows, and what the allocator keeps.

    python benchmarks/memory.py [--searches 5000] [--strategies hgs] [--plot memory.png] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stepnav import build
from stepnav.measure.plan import BenchPlan, cells
from stepnav.measure.plan_file import plan_digest
from stepnav.measure.runner import run_cells
from stepnav.run.journal import Journal

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Reading:
    """What the process held at one moment.

    Attributes:
      searches: finished so far.
      seconds: since the first began.
      resident_mib: memory of the process.
      cached_mib: of that, what the prefix trees of policy and reward model count.
      read_tokens: tokens that both models have read, so that a cache that is too small shows.
    """

    searches: int
    seconds: float
    resident_mib: float
    cached_mib: float
    read_tokens: int


def resident_bytes() -> int:
    """Return the resident memory of this process (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def read(runners: list[Any], searches: int, seconds: float) -> Reading:
    cached = sum(runner.tree.num_tokens * runner.token_bytes for runner in runners)
    return Reading(
        searches,
        round(seconds, 1),
        round(resident_bytes() / MIB, 1),
        round(cached / MIB, 1),
        sum(runner.num_read_tokens for runner in runners),
    )


def run(arguments: argparse.Namespace) -> list[Reading]:
    """Run the searches and return the readings."""
    task = build.load_task(arguments.task)
    choices = [build.parse_strategy(text) for text in arguments.strategies.split(",")]
    count = arguments.searches // len(choices)
    problems = task.load(task.default_split, count, 0, None)
    specs = [choice.for_plan((None,), temperature=task.temperature) for choice in choices]
    policy, reward = build.choose_models(task, choices, None, None)
    plan = BenchPlan(
        task.name, task.default_split, tuple(specs), count, policy=policy, reward=reward
    )
    models = build.open_models(policy=policy, reward=reward, task=task, max_batch=arguments.active)
    runners = [model.runner for model in (models.policy, models.reward) if model is not None]
    began = time.monotonic()
    readings = [read(runners, 0, 0.0)]
    with models, tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "journal.sqlite", plan_digest(plan))
        try:
            searches = run_cells(
                cells(plan, [problem.id for problem in problems]),
                problems,
                extractor=task.extractor,
                grade=task.grade,
                models=models.by_name,
                journal=journal,
                max_active=arguments.active,
            )
            for done, _ in enumerate(searches, 1):
                if done % arguments.every == 0:
                    readings.append(read(runners, done, time.monotonic() - began))
                    if not arguments.json:
                        print(line(readings[-1]), flush=True)
        finally:
            journal.close()
    return readings


def line(reading: Reading) -> str:
    return (
        f"{reading.searches:>6} searches {reading.seconds:>7.1f} s {reading.resident_mib:>7.1f} "
        f"MiB resident, {reading.cached_mib:>7.1f} MiB cached, {reading.read_tokens:>10,} tokens "
        "read"
    )


def plot(readings: list[Reading], path: Path) -> None:
    """Save the curves as a picture."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4))
    searches = [reading.searches for reading in readings]
    axes.plot(searches, [reading.resident_mib for reading in readings], label="resident")
    axes.plot(searches, [reading.cached_mib for reading in readings], label="prefix caches")
    axes.set(xlabel="finished searches", ylabel="MiB", ylim=(0, None))
    axes.legend()
    figure.savefig(path, dpi=120, bbox_inches="tight")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--searches", type=int, default=5000)
    parser.add_argument("--strategies", default="hgs")
    parser.add_argument("--task", default="arithmetic")
    parser.add_argument("--active", type=int, default=192)
    parser.add_argument("--every", type=int, default=100, help="searches between readings")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    readings = run(arguments)
    if arguments.json:
        print(json.dumps([asdict(reading) for reading in readings]))
    if arguments.plot is not None:
        plot(readings, arguments.plot)


if __name__ == "__main__":
    main()
