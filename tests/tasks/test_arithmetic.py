import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepnav.core.errors import DataError
from stepnav.core.records import Problem
from stepnav.tasks.arithmetic import problems as arithmetic
from stepnav.tasks.splits import split_of

ids = st.builds(
    "arithmetic-{}-{}-{}".format,
    st.sampled_from(arithmetic.SPLITS),
    st.integers(0, 20),
    st.integers(0, 10_000),
)


@given(ids)
@settings(deadline=None)
def test_reference_solutions_are_right_and_long_enough(problem_id: str) -> None:
    problem = arithmetic.problem(problem_id)
    steps = arithmetic.solve(problem_id)
    ratings = [verdict.rating for verdict in arithmetic.rate_steps(problem, steps)]
    assert min(ratings) >= 0
    assert 3 <= ratings.count(1) - 1 <= 8  # the answer is needed too
    assert arithmetic.grade(problem, "".join(steps))
    assert all(step.endswith("\n") for step in steps[:-1])
    assert steps[-1] == f"#### {problem.answer}"


@given(ids)
@settings(deadline=None)
def test_questions_are_one_line_and_belong_to_their_split(problem_id: str) -> None:
    problem = arithmetic.problem(problem_id)
    assert "\n" not in problem.question
    assert split_of(problem.question) == problem_id.split("-")[1]
    assert int(problem.answer or "0") > 0


@given(ids, st.integers(0, 2**32))
@settings(deadline=None)
def test_a_changed_result_is_wrong_exactly_where_it_was_changed(problem_id: str, seed: int) -> None:
    rng = random.Random(seed)
    steps = arithmetic.solve(problem_id)
    number = rng.choice([i for i, step in enumerate(steps) if " = " in step])
    result = re.search(r"= (\d+)", steps[number])
    assert result is not None
    offset = rng.randrange(result.start(1), result.end(1))
    digit = rng.choice([d for d in "0123456789" if d != steps[number][offset]])
    steps[number] = steps[number][:offset] + digit + steps[number][offset + 1 :]
    verdicts = arithmetic.rate_steps(arithmetic.problem(problem_id), steps)
    assert [verdict.rating for verdict in verdicts[:number]].count(-1) == 0
    assert verdicts[number] == arithmetic.StepVerdict(-1, offset)


@given(ids, st.integers(0, 2**32))
@settings(deadline=None)
def test_a_step_that_breaks_off_is_wrong_from_its_end(problem_id: str, seed: int) -> None:
    rng = random.Random(seed)
    step = arithmetic.solve(problem_id)[0].strip()
    cut = step[: rng.randrange(1, len(step))].strip()
    [verdict] = arithmetic.rate_steps(arithmetic.problem(problem_id), [cut + "\n"])
    assert verdict == arithmetic.StepVerdict(-1, len(cut))


def test_one_problem_by_hand() -> None:
    problem = problem_with("So far", "twice as many")
    story = arithmetic.story_of(problem.id)
    first, last = story.events[0], story.events[-1]
    texts = [
        story.remarks[0],
        *first.products[:1],
        first.states[0],
        f"#### {problem.answer}",
        "Bananas.",
    ]
    ratings = [verdict.rating for verdict in arithmetic.rate_steps(problem, texts)]
    assert ratings[0] == 0
    assert ratings[-2:] == [-1, -1]  # the answer before its calculations, and nonsense
    assert set(ratings[1:-2]) == {1}
    assert last.products[0].split()[0] in problem.question


def problem_with(remark: str, wording: str) -> Problem:
    """Return a problem whose reference has the remark and whose question has the wording."""
    for index in range(2000):
        name = f"arithmetic-train-0-{index}"
        if wording in arithmetic.problem(name).question and remark in "".join(
            arithmetic.solve(name)
        ):
            return arithmetic.problem(name)
    raise AssertionError("no such problem")


@given(ids)
@settings(deadline=None)
def test_operands_may_be_turned_round_only_where_that_is_right(problem_id: str) -> None:
    problem = arithmetic.problem(problem_id)
    steps = arithmetic.solve(problem_id)
    for number, step in enumerate(steps):
        turned = re.sub(r"(\d+) ([-+*/]) (\d+)", r"\3 \2 \1", step)
        if turned != step:
            verdict = arithmetic.rate_steps(problem, [*steps[:number], turned])[-1]
            sign = re.search(r"\d ([-+*/]) \d", step)
            assert sign is not None
            expected = 1 if sign[1] in "+*" else -1
            assert verdict.rating in (expected, 0 if expected == 1 else -1)


@given(ids)
@settings(deadline=None)
def test_a_wrong_step_does_not_advance(problem_id: str) -> None:
    problem = arithmetic.problem(problem_id)
    steps = arithmetic.solve(problem_id)
    with_nonsense = [text for step in steps for text in ("Nonsense.\n", step)]
    ratings = [verdict.rating for verdict in arithmetic.rate_steps(problem, with_nonsense)]
    assert ratings[1::2] == [v.rating for v in arithmetic.rate_steps(problem, steps)]
    assert set(ratings[::2]) == {-1}


def test_a_repeated_step_is_right_but_unneeded() -> None:
    problem = arithmetic.load("dev", 1)[0]
    state = arithmetic.story_of(problem.id).events[0].states[0]
    ratings = [verdict.rating for verdict in arithmetic.rate_steps(problem, [state, state])]
    assert ratings == [1, 0]


def test_problems_depend_on_split_seed_and_index_alone() -> None:
    first = arithmetic.load("dev", 20, 3)
    arithmetic.story_of.cache_clear()
    assert arithmetic.load("dev", 30, 3)[:20] == first
    assert arithmetic.load("dev", 20, 4) != first


def test_splits_share_no_question() -> None:
    questions = {
        split: {p.question for p in arithmetic.load(split, 200)} for split in arithmetic.SPLITS
    }
    assert not questions["train"] & questions["dev"]
    assert not questions["train"] & questions["test"]
    assert not questions["dev"] & questions["test"]


def test_about_one_step_in_seven_is_a_remark() -> None:
    ratings = [
        verdict.rating
        for problem in arithmetic.load("train", 500)
        for verdict in arithmetic.rate_steps(problem, arithmetic.solve(problem.id))
    ]
    assert 0.10 < ratings.count(0) / len(ratings) < 0.18


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a\n#### 39", "39"),
        ("#### 1,305\n", "1305"),
        ("#### 3\n#### 4", "4"),
        ("39", None),
        ("", None),
    ],
)
def test_extract(text: str, value: str | None) -> None:
    assert arithmetic.extract(text) == value


def test_foreign_ids_and_splits_are_refused() -> None:
    with pytest.raises(DataError, match="gsm8k-test-1"):
        arithmetic.problem("gsm8k-test-1")
    with pytest.raises(ValueError, match="split"):
        arithmetic.load("validation", 3)
