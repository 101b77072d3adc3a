"""Run folders are read only as what they are."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

import stepnav
from stepnav.build import plugins
from stepnav.cli import main as cli
from stepnav.core.errors import ConfigError, JournalError
from stepnav.measure.plan_file import FILE_NAME, plan_digest, write_plan
from stepnav.measure.report.write import write_report
from stepnav.measure.run_folder import JOURNAL_NAME, open_run
from stepnav.run.journal import Journal
from tests.measure.rows_for_tests import PLAN, make_run

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
import figures
import publish


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """Return a run folder with a report."""
    write_plan(PLAN, tmp_path)
    Journal(tmp_path / JOURNAL_NAME, plan_digest(PLAN)).close()
    write_report(tmp_path, make_run({("cot", 250): 8, ("hgs", 250): 16}), PLAN)
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_run_is_read(run_folder: Path) -> None:
    plan, journal = open_run(run_folder)
    journal.close()
    assert plan == PLAN
    publish.check_report(run_folder)


def test_a_run_whose_task_is_gone_is_reported_and_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"question": "What is 2 + 2?", "answer": "4"}]
    stepnav.bench(rows, ["cot"], policy=lambda question, steps: "#### 4", out=tmp_path)
    cli.app(["report", str(tmp_path), "--json"], standalone_mode=False)
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert (row["label"], row["correct"]) == ("cot", 1)
    cli.app(["show", str(tmp_path), "--problem", "0", "--json"], standalone_mode=False)
    assert json.loads(capsys.readouterr().out)["correct"] is True
    for option in ("--coverage", "--grade-again"):
        with pytest.raises(ConfigError, match=r"cannot be graded without.* call it again with the"):
            cli.app(["report", str(tmp_path), option], standalone_mode=False)


GRADED = """
from stepnav.tasks.own import own_task
rows = [{"question": "What is 2 + 2?", "answer": "4"}]
task = own_task(rows, grade=lambda answer, reference: GRADE)
def policy(question, steps): return "#### 4"
"""


def test_a_faulty_grade_ends_no_run_and_its_answers_are_graded_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task, policy, out = tmp_path / "a.py", tmp_path / "p.py", tmp_path / "run"
    task.write_text(GRADED.replace("GRADE", "1 / 0"))
    policy.write_text(GRADED)

    def call(*words: str) -> dict[str, Any]:
        cli.app([*words, "--json"], standalone_mode=False)
        return dict(json.loads(capsys.readouterr().out)["rows"][0])

    bench = ["bench", "--out", str(out), "--task", f"{task}:task", "--strategies", "cot"]
    bench += ["--policy", f"{policy}:policy", "--resume"]
    row = call(*bench)
    assert (row["correct"], row["ungraded"]) == (0, 1)
    edit(task, "1 / 0", "answer == reference")
    plugins._import_file.cache_clear()
    with pytest.raises(ConfigError, match=r"if only its grade .*stepnav report .* --grade-again"):
        call(*bench)
    with pytest.raises(ConfigError, match=r"use another --out or the same settings$"):
        call(*bench, "--seed", "3")
    assert call("report", str(out))["ungraded"] == 1
    assert call("report", str(out), "--grade-again")["correct"] == 1
    assert call("report", str(out))["correct"] == 1


def test_resumed_a_run_grades_what_could_not_be_graded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task, flag = tmp_path / "a.py", tmp_path / "mended"
    grade = f"open({str(flag)!r}).close() or answer == reference"
    task.write_text(GRADED.replace("GRADE", grade))
    words = ["bench", "--out", str(tmp_path / "run"), "--task", f"{task}:task", "--resume"]
    words += ["--policy", f"{task}:policy", "--strategies", "cot", "--json"]
    for right in (0, 1):
        cli.app(words, standalone_mode=False)
        (row,) = json.loads(capsys.readouterr().out)["rows"]
        assert (row["correct"], row["ungraded"]) == (right, 1 - right)
        flag.touch()


def test_another_baseline_is_no_other_run(run_folder: Path) -> None:
    edit(run_folder / FILE_NAME, "task = ", 'baseline = "hgs"\ntask = ')
    open_run(run_folder)[1].close()


@pytest.mark.parametrize("command", [["report"], ["show", "--problem", "0"]])
def test_a_plan_that_was_edited_is_refused(
    run_folder: Path,
    command: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    edit(run_folder / FILE_NAME, f'task = "{PLAN.task}"', 'task = "gsm8k"')
    monkeypatch.setattr(sys, "argv", ["stepnav", command[0], str(run_folder), *command[1:]])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    message = capsys.readouterr().err.splitlines()
    assert len(message) == 1
    assert "run.toml was edited after the run" in message[0]
    assert f"digest {plan_digest(PLAN)}" in message[0]
    assert "put back what was there" in message[0]


def test_nothing_of_an_edited_run_is_published(run_folder: Path) -> None:
    report = json.loads((run_folder / "report.json").read_text())
    (run_folder / "report.json").write_text(json.dumps({**report, "config": "0" * 16}))
    with pytest.raises(SystemExit, match="is of another run"):
        publish.check_report(run_folder)
    edit(run_folder / FILE_NAME, f'split = "{PLAN.split}"', 'split = "train"')
    with pytest.raises(JournalError, match="was edited after the run"):
        publish.check_report(run_folder)


def test_no_evaluation_of_other_scores_is_published(tmp_path: Path) -> None:
    digests: dict[str, Any] = {"reward_digest": "a", "data_digest": "b"}
    (tmp_path / "report.json").write_text(json.dumps(digests))
    (tmp_path / "scores.jsonl").write_text(json.dumps(digests) + "\n")
    publish.check_evaluation(tmp_path)
    (tmp_path / "report.json").write_text(json.dumps({**digests, "reward_digest": "c"}))
    with pytest.raises(SystemExit, match="is not of"):
        publish.check_evaluation(tmp_path)


def test_the_pages_of_figures_are_made_of_the_published_reports() -> None:
    notes = (figures.DOCS / "reviewers_notes.md").read_text()
    pages = {"reviewers.md": figures.filled(notes), "results.md": publish.results_page()}
    for name, page in pages.items():
        assert (figures.DOCS / name).read_text() == page, "make documents"
        assert "[[" not in page


def test_a_section_names_the_budgets_that_its_run_has() -> None:
    named = 0
    for name in publish.RUNS:
        found = re.search(r"--budgets ([0-9,]+)", publish.run_section(name))
        if found is not None:
            rows = json.loads((publish.DOCS / name / "report.json").read_text())["rows"]
            assert {int(part) for part in found[1].split(",")} == {row["budget"] for row in rows}
            named += 1
    assert named > 5


def test_a_figure_that_no_report_has_is_refused() -> None:
    with pytest.raises(SystemExit, match="no row nobody at 7"):
        figures.filled("[[arithmetic nobody 7 right]]")
