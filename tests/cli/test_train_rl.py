from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from stepnav.cli import console
from stepnav.cli import main as cli
from stepnav.front import comparing
from stepnav.measure.runner import Finished, run_cells
from stepnav.train.rl import trl_versions

pytest.importorskip("accelerate")


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["stepnav", "train", *map(str, words)])
    try:
        return cli.main() or 0
    except SystemExit as ended:
        return int(ended.code or 0)


def error_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: object
) -> str:
    """Return the one line with which a command with bad input ends."""
    assert run(monkeypatch, *words) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    return lines[0]


def trl_is(monkeypatch: pytest.MonkeyPatch, found: str | None) -> None:
    def version(name: str) -> str:
        assert name == "trl"
        if found is None:
            raise PackageNotFoundError(name)
        return found

    monkeypatch.setattr(trl_versions, "version", version)


GRPO = ("grpo", "--model", "arithmetic", "--device", "cpu")
EXPERT = ("expert", "--model", "arithmetic", "--device", "cpu")


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (None, "GRPO needs trl: pip install 'stepnav[rl]'"),
        ("1.15.0", "GRPO was tested with trl 1.16 (got 1.15.0); pip install 'stepnav[rl]' takes"),
        ("2.16.0", "got 2.16.0"),
    ],
)
def test_a_missing_or_untested_trl_is_one_line(
    found: str | None,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    trl_is(monkeypatch, found)
    assert said in error_of(monkeypatch, capsys, *GRPO, "--out", tmp_path / "o")
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--credit", "stop"), "--credit must be one of solution, step (got 'stop')"),
        (("--batch-size", 24), "the 64 solutions of a step (8 problems x 8 samples)"),
        (("--credit", "solution"), "--aggregation and --credit are of a reward model"),
        (("--aggregation", "last"), "--aggregation and --credit are of a reward model"),
        (("--outcome-weight", 0), "the weights of outcome and reward are both 0"),
        (("--task", "humaneval"), "HumanEval is a test set and is never trained on"),
        (("--dtype", "int4"), "--dtype must be one of"),
        (("--report-to", "nobody"), "--report-to 'nobody' is unknown or not installed"),
        (("--model", "http://localhost:1"), "what is trained must be a model's folder"),
    ],
)
def test_bad_input_of_grpo_is_one_line(
    words: tuple[object, ...],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    trl_is(monkeypatch, "1.16.3")
    own = [word for word in GRPO if "--model" not in words or word not in ("--model", "arithmetic")]
    assert said in error_of(monkeypatch, capsys, *own, *words, "--out", tmp_path / "o")
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--keep", "best"), "--keep must be one of grade, right-prob (got 'best')"),
        (("--strategy", "hsg"), "hgs"),
        (("--reward", "nowhere", "--strategy", "hgs"), "nowhere"),
        (("--reward", "arithmetic"), "cot:temperature=1 scores nothing; leave --reward out"),
        (("--least-right-prob", 0.5), "asks for no P(right); leave --least-right-prob out"),
        (("--task", "humaneval"), "HumanEval is a test set and is never trained on"),
        (("--model", "http://localhost:1"), "what is trained must be a model's folder"),
        (("--report-to", "nobody"), "--report-to 'nobody' is unknown or not installed"),
    ],
)
def test_bad_input_of_expert_iteration_is_one_line(
    words: tuple[object, ...],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    own = [w for w in EXPERT if "--model" not in words or w not in ("--model", "arithmetic")]
    assert said in error_of(monkeypatch, capsys, *own, *words, "--out", tmp_path / "o")
    assert not (tmp_path / "o").exists()


SMALL = ("--problems", 6, "--searches", 2, "--max-steps", 1)


def test_expert_iteration_on_the_shipped_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "o"
    words = (*EXPERT, "--out", out, *SMALL, "--json")
    assert run(monkeypatch, *words, "--rounds", 2) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found["model"] == str(out / "round-2" / "model")
    assert [(one["number"], one["searches"]) for one in found["rounds"]] == [(1, 12), (2, 12)]
    assert all(0 < one["kept"] <= one["correct"] for one in found["rounds"])
    assert (out / "round-2" / "search" / "journal.sqlite").exists()
    assert run(monkeypatch, *words, "--rounds", 3, "--resume") == 0
    more = json.loads(capsys.readouterr().out)
    assert more["rounds"][:2] == found["rounds"]
    assert more["model"] == str(out / "round-3" / "model")
    said = error_of(monkeypatch, capsys, *words, "--seed", 1, "--resume")
    assert "other settings (seed: 0, now 1)" in said


def test_an_interrupted_search_of_expert_iteration_has_told_how_far_it_is_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*searches: Any, **options: Any) -> Iterator[Finished]:
        yield from islice(run_cells(*searches, **options), 7)
        raise KeyboardInterrupt

    monkeypatch.setattr(comparing, "run_cells", stopped)
    monkeypatch.setattr(console, "PLAIN_INTERVAL_S", 0.0)
    words = (*EXPERT, "--out", tmp_path / "o", *SMALL, "--rounds", 2)
    assert run(monkeypatch, *words) == 130
    said = capsys.readouterr().err
    assert "search, round 1 of 2: 7/12" in said
    assert "0 of 2 rounds are done, and the searches of the next are kept in" in said
    assert "go on with: stepnav train expert" in said and "--resume" in said


def test_right_prob_needs_a_strategy_that_tells_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (*EXPERT, "--out", tmp_path / "o", *SMALL, "--keep", "right-prob", "--quiet")
    assert "use nav, or --keep grade" in error_of(monkeypatch, capsys, *words)


@pytest.mark.trl
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_grpo_on_the_shipped_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("trl")
    out = tmp_path / "o"
    size = ("--steps", 2, "--problems-per-step", 2, "--samples", 4, "--batch-size", 8)
    words = (*GRPO, *size, "--reward", "arithmetic", "--reward-weight", 0.5, "--problems", 8)
    words = (*words, "--out", out)
    assert run(monkeypatch, *words, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["examples"], found["fit"]["steps"]) == (16, 2)
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2]
    assert all(0 <= row["accepted_wrong"] <= 1 and row["steps_per_solution"] > 1 for row in rows)
    assert run(monkeypatch, *words, "--resume") == 0
    assert "2 steps, 16 solutions" in capsys.readouterr().out
