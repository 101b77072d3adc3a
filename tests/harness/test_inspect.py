"""`inspect eval` with our provider, our solver and our server gives what `bench` gives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import stepnav
from stepnav import build
from stepnav.core.codec import encode_tree
from tests.harness.installed import environment
from tests.serve.processes import process

pytest.importorskip("inspect_ai")
pytestmark = [pytest.mark.server, pytest.mark.timeout(1200)]

NUM_PROBLEMS, SEED = 6, 3
PROBLEMS = [
    "-T",
    "task=arithmetic",
    "-T",
    "split=dev",
    "-T",
    f"problems={NUM_PROBLEMS}",
    "-T",
    f"seed={SEED}",
]


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    """Return the rows and trees of a bench, by strategy and problem."""
    task = build.load_task("arithmetic")
    found = stepnav.bench(task, ["hgs", "beam"], count=NUM_PROBLEMS, split="dev", seed=SEED)
    assert {row.correct for row in found.rows} == {True, False}  # else nothing is compared
    return {
        (row.strategy, row.problem_id): (row, encode_tree(shown.tree)["nodes"])
        for row, shown in zip(found.rows, found.trees)
    }


def evaluate(folder: Path, *words: str) -> Any:
    """Run `inspect eval` over our problems and return its log."""
    from inspect_ai.log import list_eval_logs, read_eval_log

    logs = folder / "logs"
    command = [
        sys.executable,
        "-m",
        "inspect_ai",
        "eval",
        "stepnav/stepnav_problems",
        *PROBLEMS,
        *words,
    ]
    done = subprocess.run(
        [*command, "--log-dir", str(logs), "--display", "plain"],
        env={**environment(folder), "INSPECT_LOG_LEVEL": "warning"},
        cwd=folder, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    log = read_eval_log(list_eval_logs(str(logs))[0])
    assert log.status == "success", log.error
    assert len(log.samples) == NUM_PROBLEMS
    return log


def check(log: Any, strategy: str, expected: dict[str, Any], *, has_tree: bool = True) -> None:
    for sample in log.samples:
        row, nodes = expected[strategy, sample.id]
        score = sample.scores["stepnav_grade"]
        assert (score.value == "C") == row.correct
        assert score.answer == row.answer
        if has_tree:
            own = sample.metadata["stepnav"]
            assert own["tree"]["nodes"] == nodes
            assert own["usage"]["policy_tokens"] == row.policy_tokens
            assert own["usage"]["reward_tokens"] == row.reward_tokens
        assert sample.output.usage.output_tokens == row.policy_tokens
    right = sum(expected[strategy, sample.id][0].correct for sample in log.samples)
    assert log.results.scores[0].metrics["accuracy"].value == pytest.approx(right / NUM_PROBLEMS)


def test_the_provider_scores_as_a_bench(expected: dict[str, Any], tmp_path: Path) -> None:
    log = evaluate(tmp_path, "--model", "stepnav/hgs-arithmetic")
    check(log, "hgs", expected)
    assert log.stats.model_usage["stepnav/hgs-arithmetic"].output_tokens > 0


def test_the_solver_scores_as_a_bench(expected: dict[str, Any], tmp_path: Path) -> None:
    words = [
        "-S",
        "strategy=beam",
        "-S",
        "task=arithmetic",
        "-S",
        f"seed={SEED}",
        "--model",
        "none",
    ]
    check(evaluate(tmp_path, "--solver", "stepnav/stepnav_search", *words), "beam", expected)


def test_a_server_scores_as_a_bench(expected: dict[str, Any], tmp_path: Path) -> None:
    with process("--policy", "arithmetic") as (url, _):
        log = evaluate(
            tmp_path, "--model", "stepnav/hgs-arithmetic", "--model-base-url", f"{url}/v1"
        )
    check(log, "hgs", expected, has_tree=False)
