from __future__ import annotations

from dataclasses import replace

import pytest

from stepnav.core.budget import Usage
from stepnav.core.errors import DataError
from stepnav.core.outcome import Outcome, SearchResult
from stepnav.core.records import Problem
from stepnav.core.strategy import Strategy
from stepnav.core.tree import Tree
from stepnav.measure.plan import Cell
from stepnav.measure.rows import make_row as row_of_result
from stepnav.measure.stats.paired import mcnemar_p
from stepnav.measure.summary import summarise
from tests.measure.rows_for_tests import labels, make_row, make_run

RUN = make_run({("cot", 250): 8, ("hgs", 250): 16, ("cot", 500): 8, ("hgs", 500): 18})


def test_one_row_per_strategy_and_budget_in_order() -> None:
    summary = summarise(RUN, baseline="cot", wall_s={("cot", 250): 3.5})
    assert labels(summary) == [("cot", 250), ("hgs", 250), ("cot", 500), ("hgs", 500)]
    assert [row.wall_s for row in summary] == [3.5, None, None, None]
    assert [row.accuracy.value for row in summary] == [0.4, 0.8, 0.4, 0.9]


def test_each_is_compared_with_the_baseline_at_its_budget() -> None:
    cot, hgs, _, more = summarise(RUN, baseline="cot")
    assert (cot.baseline, cot.comparison, cot.p_holm) == (None, None, None)
    assert hgs.comparison is not None
    assert hgs.baseline == ("cot", 250)
    assert (hgs.comparison.won, hgs.comparison.lost) == (8, 0)
    assert hgs.comparison.p == mcnemar_p(8, 0)
    assert hgs.p_holm == pytest.approx(mcnemar_p(8, 0))  # the larger of two: times 1
    assert more.baseline == ("cot", 500)
    assert more.p_holm == pytest.approx(2 * mcnemar_p(10, 0))


def test_a_baseline_without_a_budget_serves_every_budget() -> None:
    rows = make_run({("cot", None): 8, ("hgs", 250): 16})
    assert summarise(rows, baseline="cot")[1].baseline == ("cot", None)
    rows = make_run({("cot", 500): 8, ("hgs", 250): 16})
    assert summarise(rows, baseline="cot")[1].baseline is None
    assert summarise(rows, baseline=None)[1].comparison is None


def test_costs_are_means_and_counters_are_sums() -> None:
    cot, hgs, *_ = summarise(RUN, baseline="cot")
    assert hgs.means["policy_tokens"] == 60
    assert hgs.means["reward_tokens"] == 80
    assert hgs.totals == {
        "iterations": 180, "backtracks": 40, "duplicates": 60, "fallbacks": 0, "failed": 0,
    }  # fmt: skip
    assert cot.totals["backtracks"] is None, "a strategy without backtracking has none, not zero"
    assert hgs.stop_reasons == {"accepted": 20}
    assert (hgs.searches, hgs.problems) == (20, 20)


def test_unknown_is_not_averaged_away() -> None:
    rows = [make_row(problem_id="a"), make_row(problem_id="b", flops=None)]
    assert summarise(rows, baseline=None)[0].means["flops"] is None


def test_ungraded_and_failed_searches_are_counted() -> None:
    rows = [
        make_row(problem_id="a"),
        make_row(problem_id="b", correct=None),
        make_row(problem_id="c", correct=None, failed=True, stop_reason="failed"),
    ]
    (row,) = summarise(rows, baseline=None)
    assert (row.accuracy.value, row.accuracy.total, row.accuracy.ungraded) == (1.0, 1, 2)
    assert row.totals["failed"] == 1
    assert row.stop_reasons == {"finished": 2, "failed": 1}


def test_a_missing_search_is_not_an_ungraded_one() -> None:
    rows = make_run({("cot", None): 8, ("hgs", None): 16}, repeats=2)
    rows = [row for row in rows if (row.label, row.problem_id, row.repeat) != ("hgs", "p0", 1)]
    _, hgs = summarise(rows, baseline="cot")
    assert (hgs.accuracy.ungraded, hgs.searches, hgs.accuracy.total) == (0, 39, 39)
    assert hgs.comparison is not None
    assert (hgs.comparison.pairs, hgs.comparison.missing) == (39, 1)


def test_pass_at_k_only_where_seeds_repeat() -> None:
    (single,) = summarise(make_run({("cot", None): 8}), baseline=None)
    assert single.pass_at_k == ()
    rows = make_run({("cot", None): 8}, repeats=2)
    rows = [replace(row, correct=row.correct and row.repeat == 0) for row in rows]
    (double,) = summarise(rows, baseline=None)
    assert [entry.value for entry in double.pass_at_k] == [pytest.approx(0.2), 0.4]


def test_the_same_search_twice_is_an_error() -> None:
    with pytest.raises(DataError, match="two results of cot for problem p0, repeat 0"):
        summarise([make_row(), make_row()], baseline=None)


def test_nothing_gives_nothing() -> None:
    assert summarise([], baseline="cot") == []


@pytest.mark.parametrize(
    ("stop", "answer", "grade", "stored"),
    [("accepted", "4", True, True), ("failed", None, False, None), ("failed", "4", True, True),
     ("budget", None, False, False)],
)  # fmt: skip
def test_row_of_a_result(
    stop: str, answer: str | None, grade: bool | None, stored: bool | None
) -> None:
    cell = Cell("hgs/250/0/p", Strategy("hgs", {"branching": 8}, "hgs-paper"), 250, "p", 0, 7)
    outcome = Outcome(None, stop, counts={"backtracks": 2, "neutral": 1})  # type: ignore[arg-type]
    usage = Usage(
        policy_calls=3, policy_tokens=40, reward_calls=2, reward_tokens=50, flops=2**60 + 1
    )
    result = SearchResult(
        cell.search_id,
        "hgs",
        cell.strategy.options,
        "p",
        7,
        answer,
        outcome,
        Tree(Problem("p", "?")),
        usage,
        6,
    )
    row = row_of_result(result, cell, correct=grade, oracle=True)
    assert row.correct is stored
    assert (row.label, row.budget, row.failed, row.oracle) == (
        "hgs-paper", 250, stop == "failed", True,
    )  # fmt: skip
    assert (row.backtracks, row.duplicates, row.policy_tokens, row.requests) == (2, None, 40, 6)
    assert row.flops == float(2**60)


def test_a_search_that_never_asked_the_oracle_is_no_upper_bound() -> None:
    cell = Cell("cot/250/0/p", Strategy("cot"), 250, "p", 0, 7)
    outcome = Outcome(None, "finished")
    result = SearchResult(
        cell.search_id, "cot", {}, "p", 7, "4", outcome, Tree(Problem("p", "?")), Usage(), 1
    )
    assert not row_of_result(result, cell, correct=True, oracle=True).oracle


def test_all_may_be_compared_with_one_at_one_budget() -> None:
    summary = {row.group: row for row in summarise(RUN, baseline="cot@500")}
    hgs, cot = summary["hgs", 250], summary["cot", 250]
    assert hgs.baseline == cot.baseline == ("cot", 500)
    assert hgs.comparison is not None and cot.comparison is not None
    assert (hgs.comparison.won, hgs.comparison.lost, hgs.comparison.pairs) == (8, 0, 20)
    assert summary["cot", 500].comparison is None
    assert summarise(RUN, baseline="hgs@7")[0].comparison is None
