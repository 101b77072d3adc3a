"""Shards of a run, merged: what one run would have given, and what is refused."""

from __future__ import annotations

import shutil
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stepnav.cli import main as cli
from stepnav.core.records import Problem
from stepnav.files.lock import locked
from stepnav.measure.plan_file import FILE_NAME
from stepnav.measure.report.write import write_report
from stepnav.measure.run_folder import JOURNAL_NAME, open_run
from stepnav.measure.runner import read_rows, wall_seconds
from stepnav.run.journal import Journal

pytestmark = pytest.mark.timeout(900)  # the run and its shards are made before the first test

WORDS = ["--strategies", "cot,hgs:max_draws=12", "--problems", "7", "--split", "dev"]


def run(*words: object) -> int:
    """Run the command in this process and return its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["stepnav", *map(str, words)])
        try:
            cli.main()
        except SystemExit as stop:
            return int(stop.code or 0)
    return 0


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a whole run and the three shards of it."""
    folder = tmp_path_factory.mktemp("merge")
    assert run("bench", "--out", folder / "whole", *WORDS) == 0
    for n in (1, 2, 3):
        assert run("bench", "--out", folder / str(n), *WORDS, "--shard", f"{n}/3", "-q") == 0
    return folder


def shards(made: Path) -> list[Path]:
    return [made / str(n) for n in (3, 1, 2)]


def report_of(run_folder: Path, out: Path) -> dict[str, bytes]:
    """Return the files of a run's report in which every measured time is 1 second."""
    plan, journal = open_run(run_folder)
    results = [
        replace(result, usage=replace(result.usage, seconds=1.0)) for result in journal.results()
    ]
    rows = [replace(row, seconds=1.0) for row in read_rows(plan, journal, grade=no_grade)]
    wall_s = dict.fromkeys(wall_seconds(journal), 1.0)
    journal.close()
    out.mkdir()
    write_report(out, rows, plan, wall_s=wall_s, results=results)
    return {path.name: path.read_bytes() for path in out.iterdir()}


def no_grade(problem: Problem, answer: str | None) -> bool:
    raise AssertionError("the run has graded this")


def test_merged_shards_are_the_run(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "merged"
    assert run("merge", *shards(made), "--out", out) == 0
    whole = made / "whole"
    assert {path.name for path in out.iterdir()} == {path.name for path in whole.iterdir()} - {
        "lock"
    }
    assert (out / FILE_NAME).read_bytes() == (whole / FILE_NAME).read_bytes()
    assert report_of(out, tmp_path / "left") == report_of(whole, tmp_path / "right")
    answers = []
    for folder in (whole, out):
        journal = Journal(folder / JOURNAL_NAME, is_read_only=True)
        answers.append((journal.num_answers(), journal.verdicts(), journal.result_ids()))
        journal.close()
    assert answers[0] == answers[1]


def test_a_merged_run_goes_on_as_the_run(made: Path, tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "merged"
    assert run("merge", *shards(made), "--out", out) == 0
    with closing(Journal(out / JOURNAL_NAME, is_read_only=True)) as journal:
        before = journal.num_answers()
    assert run("bench", "--out", out, *WORDS, "--resume", "--json") == 0
    with closing(Journal(out / JOURNAL_NAME, is_read_only=True)) as journal:
        assert len(journal.finished_ids()) == 14
        assert journal.num_answers() == before
        assert len(journal.spans()) == 2
    assert '"incomplete": []' in capsys.readouterr().out


def test_a_shard_says_how_to_go_on(made: Path, tmp_path: Path, capsys: Any) -> None:
    assert run("bench", "--out", tmp_path / "s", *WORDS, "--shard", "7/7") == 0
    assert "Shard 7/7 is done: 2 searches" in capsys.readouterr().out
    assert not (tmp_path / "s" / "report.md").exists()


def unfinished(made: Path, tmp_path: Path) -> list[Path]:
    """Return shards, the last of which lacks a search."""
    folder = tmp_path / "broken"
    shutil.copytree(made / "2", folder)
    journal = Journal(folder / JOURNAL_NAME)
    journal.keep_newest(3)
    journal.close()
    return [made / "1", made / "3", folder]


def test_what_cannot_be_merged(made: Path, tmp_path: Path, capsys: Any) -> None:
    other = tmp_path / "other"
    assert run("bench", "--out", other, *WORDS, "--shard", "2/3", "--seed", "5", "-q") == 0
    full = tmp_path / "full"
    full.mkdir()
    (full / "x").touch()
    one, three = made / "1", made / "3"
    cases: list[tuple[list[Path], Path, str]] = [
        (
            [one, three],
            tmp_path / "a",
            "of 3 shards each is needed once; missing: 2/3, given: 1/3, 3/3",
        ),
        ([one, other, three], tmp_path / "a", "different plans: seed=0 against seed=5"),
        ([one, one], tmp_path / "a", "is given twice"),
        ([made / "whole", one], tmp_path / "a", "is in"),
        (unfinished(made, tmp_path), tmp_path / "a", "13 of 14 searches are done (the first: "),
        (shards(made), full, "is not empty and not a run folder"),
        (shards(made), one, "holds a run already; use another --out"),
        ([full], tmp_path / "a", "is not a run folder: it has no run.toml"),
    ]
    for runs, out, says in cases:
        capsys.readouterr()
        assert run("merge", *runs, "--out", out) == 2, says
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1
        assert says in lines[0]
        assert not (tmp_path / "a").exists()


def test_a_folder_in_use_is_not_merged(made: Path, tmp_path: Path, capsys: Any) -> None:
    with locked(made / "2"):
        assert run("merge", *shards(made), "--out", tmp_path / "a") == 2
    assert "another process is at work in" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("shard", "says"),
    [("2", "must read i/n"), ("0/2", "1 <= i <= n"), ("9/9", "7 problems cannot be 9 shards")],
)
def test_shards_that_there_are_none_of(shard: str, says: str, tmp_path: Path, capsys: Any) -> None:
    assert run("bench", "--out", tmp_path / "s", *WORDS, "--shard", shard) == 2
    assert says in capsys.readouterr().err
