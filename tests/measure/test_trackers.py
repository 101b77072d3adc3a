"""What trackers are told of a comparison."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import stepnav
from stepnav.cli import main as cli
from stepnav.core.errors import ConfigError
from stepnav.measure.runner import Finished
from stepnav.measure.trackers import Trackers, check_trackers

WORDS = ["--strategies", "cot,best_of_n:samples=2", "--problems", "4", "--split", "dev", "--out"]


class Heard:
    """A tracker that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[int, dict[str, float]]] = []
        self.is_finished = False

    def log(self, values: Mapping[str, float], step: int) -> None:
        self.told.append((step, dict(values)))

    def finish(self) -> None:
        self.is_finished = True


def test_shares_count_what_the_journal_held() -> None:
    heard = Heard()
    trackers = Trackers([heard], {"cot/unlimited/0/a": True, "hgs/unlimited/0/a": False})
    trackers.tell(Finished("cot/unlimited/0/b/c", "cot", is_new=True, correct=False))
    trackers.tell(Finished("cot/unlimited/0/d", "cot", is_new=True, correct=None))
    trackers.tell(Finished("tot/250/0/d", "tot 250", is_new=True, correct=None))
    assert heard.told == [
        (3, {"cot/unlimited/searches": 2, "cot/unlimited/accuracy": 0.5}),
        (4, {"cot/unlimited/searches": 2, "cot/unlimited/accuracy": 0.5}),
        (5, {"tot/250/searches": 0}),
    ]


def run(*words: object) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["stepnav", "bench", *map(str, words)])
        cli.main()


def test_a_bench_reports_to_a_tracker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both libraries with `init` are called alike; a stand-in shows with what."""
    heard, given = Heard(), {}

    def init(**options: Any) -> Heard:
        given.update(options)
        return heard

    stand_in = ModuleType("trackio")
    stand_in.init = init  # type: ignore[attr-defined]
    stand_in.__spec__ = sys.__spec__
    monkeypatch.setitem(sys.modules, "trackio", stand_in)
    run(*WORDS, tmp_path / "first", "--report-to", "trackio")
    assert given["name"] == "first"
    assert given["config"]["task"] == "arithmetic"
    assert [step for step, _ in heard.told] == [*range(1, 9), 8, 8]
    assert heard.told[-1][1]["best_of_n:samples=2/unlimited/policy_tokens_per_problem"] > 0
    shares = [
        told["cot/unlimited/accuracy"] for _, told in heard.told if "cot/unlimited/accuracy" in told
    ]
    assert shares[-2] == shares[-1]  # what was counted, and what the report says
    assert heard.is_finished


def test_an_unknown_tracker_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"--report-to 'tensorbord' is unknown or not installed"):
        check_trackers(["tensorbord"])


@pytest.mark.parametrize("name", ["tensorboard", "trackio", "wandb"])
def test_real_trackers(name: str, tmp_path: Path) -> None:
    pytest.importorskip(name)
    words = [*WORDS, tmp_path / "first", "--report-to", name, "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "stepnav", "bench", *map(str, words)],
        env={
            **os.environ,
            "WANDB_MODE": "offline",
            "TRACKIO_DIR": str(tmp_path / "trackio"),
            "HF_HUB_OFFLINE": "1",
        },
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["task"] == "arithmetic"  # nothing else is there
    kept = {"tensorboard": "first/tracker/*", "trackio": "trackio/*", "wandb": "first/wandb/*"}
    assert list(tmp_path.glob(kept[name]))


def test_results_as_a_dataset() -> None:
    pytest.importorskip("datasets")
    import datasets

    rows = datasets.Dataset.from_list([{"question": "What is 2 + 2?", "answer": "4"}])
    results = stepnav.bench(rows, ["cot"], policy=lambda question, steps: "#### 4")
    found = results.to_dataset()
    assert found["correct"] == [True]
    assert found["options"][0].startswith("{")
