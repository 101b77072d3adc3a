"""Memory of a full prefix tree stays what it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from stepnav.engine import runner as engine
from stepnav.engine.row import Row
from stepnav.engine.runner import Runner
from tests.engine.small_models import causal_model

CHURN = """
import random, sys, torch
from pathlib import Path
from stepnav.engine.free_memory import give_back
from stepnav.engine.prefix_tree import PrefixTree

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20

TOKEN_BYTES = 3072
tree, rng = PrefixTree((64 << 20) // TOKEN_BYTES), random.Random(0)
before = resident()
for _ in range(200):
    for _ in range(25):
        # what passes compute lies between what is kept
        work = [torch.empty(rng.randint(1000, 40000)) for _ in range(20)] + [torch.empty(1 << 18)]
        kept = work[rng.randrange(20)]
        del work
        evicted = tree.num_evicted
        tokens = [rng.randrange(1000) for _ in range(rng.randint(5, 60))]
        tree.insert(tokens, lambda a, b: torch.zeros(1, b - a, TOKEN_BYTES // 4), {})
        if tree.num_evicted > evicted and sys.argv[1] == "give_back":
            give_back()
print((resident() - before) / (tree.num_tokens * TOKEN_BYTES / 2**20))
"""


def grown(mode: str) -> float:
    """Return how much memory a process holds for each byte in its tree."""
    found = subprocess.run(
        [sys.executable, "-c", CHURN, mode], capture_output=True, text=True, check=True
    )
    return float(found.stdout)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads Linux's own figures")
def test_gaps_between_what_is_kept_are_given_back() -> None:
    assert grown("give_back") < 1.25 < grown("keep")


def test_the_engine_gives_back_what_it_evicts(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    monkeypatch.setattr(engine, "give_back", lambda: calls.append(1))
    runner = Runner(causal_model(), cache_tokens=40)
    for start in range(8):
        row = Row([start, *range(1, 12)], (11,))
        runner.submit(row)
        runner.admit()
        asked, outputs = runner.forward()
        row.outputs[asked[0][1]] = outputs[0].clone()
        runner.settle(row)
        runner.release(row, keep=False)
    assert runner.tree.num_evicted
    assert 0 < len(calls) < 8
