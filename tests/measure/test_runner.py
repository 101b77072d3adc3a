from __future__ import annotations

import gc
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from stepnav import build
from stepnav.core.errors import JournalError
from stepnav.core.outcome import SearchResult
from stepnav.core.records import Problem
from stepnav.measure.plan import BenchPlan, cells, problem_of
from stepnav.measure.runner import grade_again, read_rows, run_cells, wall_seconds
from stepnav.policies.scripted import ScriptedPolicy
from stepnav.run.journal import Journal

PROBLEMS = [Problem(f"a/b-{n}", "what now", "1") for n in range(12)]
COT = build.strategy("cot")
PLAN = BenchPlan("t", "dev", (COT, COT.with_texts({"top_p": "0.5"}, "cot:top_p=0.5")), 12, seeds=2)


def finished(folder: Path) -> Journal:
    journal = Journal(folder / "j.sqlite")
    policy = ScriptedPolicy.from_table({"": ["#### 1"]})
    searches = run_cells(
        cells(PLAN, [p.id for p in PROBLEMS]),
        PROBLEMS,
        extractor=lambda problem: lambda text: text[-1:],
        grade=lambda problem, answer: True,
        models={"policy": policy},
        journal=journal,
    )
    assert len(list(searches)) == 48
    return journal


def test_rows_are_in_the_plans_order_and_no_tree_is_kept(tmp_path: Path) -> None:
    journal = finished(tmp_path)
    with sqlite3.connect(tmp_path / "j.sqlite") as database:  # as earlier versions left it
        database.execute("DROP TABLE verdicts")
    database.close()
    gc.collect()
    held: list[int] = []

    def num_results() -> int:
        return sum(type(item) is SearchResult for item in gc.get_objects())  # asks no object

    before = num_results()  # of other tests

    def grade(problem: Problem, answer: Any) -> bool:
        held.append(num_results() - before)
        return answer == problem.answer

    rows = read_rows(PLAN, journal, grade=grade)
    journal.close()
    ids = sorted(problem.id for problem in PROBLEMS)
    assert [row.search_id for row in rows] == [cell.search_id for cell in cells(PLAN, ids)]
    assert all(row.correct for row in rows)
    assert len(held) == 48
    assert max(held) <= 2


def test_verdicts_of_the_run_are_not_made_again(tmp_path: Path) -> None:
    journal = finished(tmp_path)

    def grade(problem: Problem, answer: Any) -> bool:
        raise AssertionError("the run has graded this")

    assert all(row.correct for row in read_rows(PLAN, journal, grade=grade))
    journal.close()


def test_only_what_has_no_verdict_is_read_and_graded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = finished(tmp_path)
    ungraded = journal.result_ids()[7]
    journal.add_verdict(ungraded, None)
    read: list[str] = []
    decoded = Journal._decoded

    def noted(own: Journal, search_id: str, payload: str) -> SearchResult:
        read.append(search_id)
        return decoded(own, search_id, payload)

    monkeypatch.setattr(Journal, "_decoded", noted)
    assert grade_again(journal, lambda *answer: False, only_ungraded=True) == (1, 1)
    assert read == [ungraded]
    assert journal.verdicts()[ungraded] is False
    assert grade_again(journal, lambda *answer: False) == (48, 47)
    journal.close()


def test_a_searchs_name_tells_its_problem() -> None:
    found = {problem_of(cell.search_id) for cell in cells(PLAN, [p.id for p in PROBLEMS])}
    assert found == {problem.id for problem in PROBLEMS}


def test_times_of_no_budget_are_damage(tmp_path):
    journal = Journal(tmp_path / "journal.sqlite")
    journal.add_span("hgs/unlimited/0/given-2", 1.0)
    with pytest.raises(JournalError, match=r"is damaged at the times .*take it from a backup"):
        wall_seconds(journal)
