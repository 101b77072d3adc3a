from __future__ import annotations

import pytest

from stepnav.core.errors import ConfigError
from stepnav.core.strategy import Strategy
from stepnav.measure.plan import BenchPlan, cells

COT = Strategy("cot")
HGS = Strategy("hgs", {"children": 8})


def make_plan(**changes: object) -> BenchPlan:
    values: dict[str, object] = {"task": "arithmetic", "split": "test", "strategies": (COT, HGS)}
    return BenchPlan(**{**values, **changes})  # type: ignore[arg-type]


def test_cells_are_every_search_once_grouped_by_budget_and_strategy() -> None:
    plan = make_plan(problems=2, seeds=2, seed=7, budgets=(250, None))
    found = cells(plan, ["a", "b"])
    assert len(found) == 2 * 2 * 2 * 2
    assert len({cell.search_id for cell in found}) == len(found)
    assert [cell.search_id for cell in found[:5]] == [
        "cot/250/0/a", "cot/250/0/b", "cot/250/1/a", "cot/250/1/b", "hgs/250/0/a",
    ]  # fmt: skip
    assert found[-1].search_id == "hgs/unlimited/1/b"
    assert [cell.seed for cell in found[:4]] == [7, 7, 8, 8]
    groups = [(cell.strategy.label, cell.budget) for cell in found]
    assert groups == sorted(groups, key=groups.index), "searches of a group stand together"


def test_one_strategy_under_two_labels() -> None:
    cold = Strategy("hgs", {"temperature": 0.1}, "hgs-paper")
    found = cells(make_plan(strategies=(HGS, cold)), ["a"])
    assert [(cell.strategy.name, cell.strategy.label) for cell in found] == [
        ("hgs", "hgs"),
        ("hgs", "hgs-paper"),
    ]


def test_the_number_of_problems_must_be_there() -> None:
    with pytest.raises(ConfigError, match="wants 3 problems of arithmetic/test, there are 2"):
        cells(make_plan(problems=3), ["a", "b"])
    with pytest.raises(ConfigError, match="'a' twice"):
        cells(make_plan(), ["a", "a"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"problems": 0}, "problems must be a whole number of at least 1"),
        ({"seeds": 0}, "seeds must be a whole number"),
        ({"seeds": True}, "seeds must be a whole number"),
        ({"seed": -1}, "seed must not be negative"),
        ({"budgets": ()}, "budgets must not be empty"),
        ({"budgets": (250, 250)}, "budgets must differ"),
        ({"budgets": (0,)}, "a budget must be"),
        ({"strategies": ()}, "strategies must not be empty"),
        ({"strategies": (COT, COT)}, "'cot' twice"),
        ({"baseline": "cott"}, "did you mean 'cot'"),
        ({"baseline": "cott@250"}, "did you mean 'cot'"),
        ({"baseline": "cot@7", "budgets": (250, 500)}, "must be one of 250, 500 .got 7"),
        ({"baseline": "cot@7", "budgets": (None,)}, "must be one of none .got 7"),
        ({"settings": {"top_p": float("nan")}}, "finite number"),
        ({"settings": {"prompt": object()}}, "of type object"),
        ({"settings": {"a": "<none>"}}, "must be text"),
        ({"settings": {1: 2}}, "must be text"),
    ],
)
def test_wrong_plans_are_refused_with_the_reason(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_plan(**changes)


def test_a_label_cannot_break_a_search_id() -> None:
    with pytest.raises(ConfigError, match="label"):
        make_plan(strategies=(Strategy("hgs", label="a/b"),))


def test_baseline_is_cot_if_it_is_there() -> None:
    assert make_plan().baseline_label == "cot"
    assert make_plan(strategies=(HGS,)).baseline_label is None
    assert make_plan(baseline="hgs").baseline_label == "hgs"


def test_plans_do_not_share_the_callers_containers() -> None:
    options = {"stop": ["a"]}
    plan = make_plan(strategies=(Strategy("hgs", options),))
    options["stop"].append("b")
    assert plan.strategies[0].options == {"stop": ["a"]}
