"""What the driver, the journal and the tree cost per request, beside what they cannot do without.

Scripted models answer at once, so that nothing but our own work is timed; the program is fixed, so
that figures of two versions can be compared although a strategy has come to ask otherwise. In the
same run stand the floors: a bare asyncio task, and a row of the same size in a batched SQLite WAL
transaction.

    python benchmarks/driver.py [--requests 10000] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from stepnav.core.outcome import Outcome
from stepnav.core.records import Problem
from stepnav.core.requests import Program, Propose, Score
from stepnav.core.strategy import Strategy
from stepnav.core.tree import Tree
from stepnav.policies.scripted import ScriptedPolicy
from stepnav.rewards.scripted import ScriptedReward
from stepnav.run.driver import Driver
from stepnav.run.journal import Journal
from stepnav.run.search import Search

POLICY = ScriptedPolicy.from_table(
    {
        "": ["a\n", "b\n", "c\n"],
        "a\n": ["d\n", "#### 1"],
        "b\n": ["#### 2"],
        "c\n": ["x\n", "y\n"],
        "a\nd\n": ["#### 3", "#### 4"],
    }
)
REWARD = ScriptedReward.from_table(
    {"a": 0, "b": -1, "c": 1, "x": -1, "y": -1, "#### 1": -1, "#### 3": 1, "#### 4": -1}
)
REQUESTS_PER_SEARCH = 28


def walk(tree: Tree) -> Program:
    """Draw and score one step after the other, three times at each of a few places."""
    node = tree.root
    for number in range(REQUESTS_PER_SEARCH // 2):
        ((step,),) = yield (Propose(node.trajectory),)
        child = tree.find_child(node, step) or tree.add(node, step)
        ((*_, score),) = yield (Score(child.trajectory),)
        tree.set_score(child, score)
        if number % 3 == 2 and not child.is_finished:
            node = child
    return Outcome(node.trajectory, "finished")


WALK = Strategy("walk", function=walk)


def time_searches(num_requests: int, journal: Journal | None) -> float:
    """Return microseconds per request of searches, about `num_requests` in all."""
    searches = [
        Search(f"s{i}", WALK, Problem(f"p{i}", "what now"), lambda text: text[-1:])
        for i in range(max(1, num_requests // REQUESTS_PER_SEARCH))
    ]
    driver = Driver({"policy": POLICY, "reward": REWARD}, journal=journal, max_active=256)
    began = time.perf_counter()
    answered = sum(result.requests for result in driver.run(searches))
    return (time.perf_counter() - began) / answered * 1e6


def time_journaled(num_requests: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "journal.sqlite")
        try:
            return time_searches(num_requests, journal)
        finally:
            journal.close()


def time_tasks(count: int) -> float:
    """Return microseconds per bare asyncio task that yields once."""

    async def run() -> None:
        async def task() -> None:
            await asyncio.sleep(0)

        for _ in range(0, count, 256):
            await asyncio.gather(*(asyncio.create_task(task()) for _ in range(256)))

    began = time.perf_counter()
    asyncio.run(run())
    return (time.perf_counter() - began) / count * 1e6


def time_rows(count: int) -> float:
    """Return microseconds per SQLite WAL row at 50 rows a commit."""
    with tempfile.TemporaryDirectory() as folder:
        database = sqlite3.connect(Path(folder) / "rows.sqlite", isolation_level=None)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=NORMAL")
        database.execute("CREATE TABLE answers (a TEXT, b INTEGER, c TEXT, d REAL, e TEXT)")
        rows = [("search/0/problem", n, "0" * 16, 0.5, "x" * 120) for n in range(50)]
        began = time.perf_counter()
        for _ in range(0, count, 50):
            database.execute("BEGIN")
            database.executemany("INSERT INTO answers VALUES (?, ?, ?, ?, ?)", rows)
            database.execute("COMMIT")
        elapsed = time.perf_counter() - began
        database.close()
    return elapsed / count * 1e6


def median_of(measure: Callable[[int], float], count: int, repeats: int) -> float:
    return statistics.median(measure(count) for _ in range(repeats))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    in_memory = {
        count: median_of(lambda n: time_searches(n, None), count, args.repeats)
        for count in (args.requests // 4, args.requests, args.requests * 4)
    }
    figures = {
        "us_per_request": in_memory[args.requests],
        "us_per_request_by_count": in_memory,
        "us_per_request_journaled": median_of(time_journaled, args.requests, args.repeats),
        "us_per_asyncio_task": median_of(time_tasks, args.requests, args.repeats),
        "us_per_sqlite_row": median_of(time_rows, args.requests, args.repeats),
    }
    if args.json:
        print(json.dumps(figures))
        return
    for count, value in in_memory.items():
        print(f"driver and tree, in memory, {count:6d} requests: {value:6.1f} us a request")
    print(
        f"with the journal, {args.requests} requests: {figures['us_per_request_journaled']:.1f} us"
    )
    print(f"floor: a bare asyncio task {figures['us_per_asyncio_task']:.1f} us", end=", ")
    print(f"a batched SQLite WAL row {figures['us_per_sqlite_row']:.1f} us")


if __name__ == "__main__":
    main()
