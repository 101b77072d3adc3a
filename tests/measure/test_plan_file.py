from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepnav.core.errors import ConfigError, DataError
from stepnav.core.strategy import Strategy
from stepnav.measure.plan import TUNED_ON, BenchPlan
from stepnav.measure.plan_file import (
    _from_toml,
    _to_toml,
    check_same,
    differences,
    plan_digest,
    read_plan,
    write_plan,
)

PLAN = BenchPlan(
    "arithmetic",
    "test",
    (
        Strategy("cot"),
        Strategy("hgs", {"children": 8, "temperature": 1.0, "max_step_tokens": None}),
        Strategy("hgs", {"temperature": 0.1, "stop": ["\n", None]}, "hgs-paper"),
    ),
    problems=300,
    budgets=(250, None),
    policy="arithmetic-2m",
    reward="arithmetic-prm",
    settings={"top_p": 1.0, "prompt": 'Say "x"\n\tü', "nested": {"none": None}},
)

FEWER_CHILDREN = Strategy("hgs", {**PLAN.strategies[1].options, "children": 4})

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
)
OPTIONS = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
    SCALARS | st.lists(SCALARS, max_size=3),
    max_size=4,
)


def test_plan_survives_the_file(tmp_path: Path) -> None:
    write_plan(PLAN, tmp_path)
    assert read_plan(tmp_path) == PLAN
    assert plan_digest(read_plan(tmp_path)) == plan_digest(PLAN)


def test_options_of_budgets_survive_the_file_and_are_told_apart(tmp_path: Path) -> None:
    own = {100: {"branching": 4, "max_step_tokens": None}, 250: {}}
    tuned = replace(PLAN.strategies[1], by_budget=own)
    plan = replace(PLAN, strategies=(PLAN.strategies[0], tuned))
    write_plan(plan, tmp_path)
    found = read_plan(tmp_path)
    assert found.strategies[1].by_budget == {100: own[100]}
    assert plan_digest(found) == plan_digest(plan)
    other = replace(plan, strategies=(plan.strategies[0], PLAN.strategies[1]))
    assert plan_digest(other) != plan_digest(plan)
    assert "hgs@100.branching=4" in str(differences(plan, other))


@given(OPTIONS, OPTIONS, st.none() | st.integers(1, 9), st.sets(st.integers(1, 99) | st.none()))
def test_any_plan_survives_the_file(
    options: dict[str, object],
    settings: dict[str, object],
    problems: int | None,
    budgets: set[int | None],
) -> None:
    import tomli_w

    from stepnav.measure.plan_file import tomllib

    plan = BenchPlan(
        "t", "s", (Strategy("hgs", options),), problems, budgets=tuple(budgets) or (None,),
        settings=settings,
    )  # fmt: skip
    table = tomllib.loads(tomli_w.dumps(_to_toml(plan)))
    table.pop("format")
    again = _from_toml(table)
    assert again == plan
    assert plan_digest(again) == plan_digest(plan)
    assert differences(again, plan) is None


def test_digest_is_stable_and_ignores_what_changes_nothing() -> None:
    assert plan_digest(PLAN) == plan_digest(replace(PLAN, baseline="hgs"))
    whole = replace(PLAN, settings={**PLAN.settings, "top_p": 1})
    assert plan_digest(PLAN) == plan_digest(whole)
    remarked = replace(PLAN, settings={**PLAN.settings, TUNED_ON: "test"})
    assert plan_digest(PLAN) == plan_digest(remarked)
    check_same(PLAN, remarked, "r")
    assert plan_digest(BenchPlan("t", "s", (Strategy("cot"),))) == "6646d4493cec5e8e"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"problems": 200}, "problems=300, now problems=200;"),
        ({"problems": 200, "seed": 1}, "problems=300, seed=0, now problems=200, seed=1;"),
        ({"budgets": (250, 500)}, "budgets=250,none, now budgets=250,500;"),
        ({"reward": None}, "reward=arithmetic-prm, now reward=none;"),
        (
            {"strategies": (PLAN.strategies[0], PLAN.strategies[1])},
            "strategies=cot,hgs,hgs-paper, hgs-paper.strategy=hgs, hgs-paper.temperature=0.1, "
            "hgs-paper.stop=\n,none, now strategies=cot,hgs, hgs-paper.strategy=unset, "
            "hgs-paper.temperature=unset, hgs-paper.stop=unset;",
        ),
        (
            {"strategies": (PLAN.strategies[0], FEWER_CHILDREN, PLAN.strategies[2])},
            "made with hgs.children=8, now hgs.children=4;",
        ),
        (
            {"settings": {**PLAN.settings, "top_p": "1"}},
            'top_p=1, now top_p="1";',
        ),
        (
            {"settings": {**PLAN.settings, "seed": 3}},
            "settings.seed=unset, now settings.seed=3;",
        ),
    ],
)
def test_exactly_the_settings_that_differ_are_named(changes: dict[str, object], said: str) -> None:
    now = replace(PLAN, **changes)  # type: ignore[arg-type]
    assert plan_digest(now) != plan_digest(PLAN)
    with pytest.raises(ConfigError) as refused:
        check_same(PLAN, now, "runs/a")
    line = str(refused.value)
    assert line.startswith("the run folder runs/a was made with ")
    assert line.endswith("; use another --out or the same settings")
    assert said in line
    check_same(PLAN, PLAN, "runs/a")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("format = 1\n", "task is missing"),
        ("format = 2\n", "not in format 1"),
        ("task = ", "is broken"),
        ("format = 1\ntask = 3\n", "task has the wrong type"),
        ("format = 1\nseeds = true\n", "seeds has the wrong type"),
        ("format = 1\ntasks = 'a'\n", "unknown setting 'tasks' .did you mean 'task'"),
        ("format = 1\ntask = 'a'\nsplit = 'b'\nstrategies = [1]\n", "a strategy has name"),
        ("format = 1\ntask = 'a'\nsplit = 'b'\nstrategies = [{}]\n", "needs a name"),
        ("format = 1\ntask = 'a'\nsplit = 'b'\nstrategies = [{name='a', label=1}]\n", "label"),
    ],
)
def test_a_broken_file_is_one_clear_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "run.toml").write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read_plan(tmp_path)
    assert "run.toml" in str(caught.value)


def test_a_wrong_value_in_the_file_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(
        "format = 1\ntask = 'a'\nsplit = 'b'\nproblems = 0\nstrategies = [{name='cot'}]\n"
    )
    with pytest.raises(ConfigError, match=r"run\.toml: problems must be"):
        read_plan(tmp_path)


def test_a_file_whose_name_no_utf8_can_hold_is_refused_before_the_run(tmp_path: Path) -> None:
    odd = replace(PLAN, task=os.fsdecode(b"data-\xe4.jsonl"))
    with pytest.raises(ConfigError, match=r"run\.toml cannot hold .*task = .*rename it"):
        write_plan(odd, tmp_path)
    assert not list(tmp_path.iterdir())


def test_no_run_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a run folder"):
        read_plan(tmp_path / "missing")
