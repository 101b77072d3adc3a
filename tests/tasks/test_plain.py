import json
import random
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepnav.core.errors import DataError
from stepnav.tasks.arithmetic import problems as arithmetic
from stepnav.tasks.plain import problems as plain
from stepnav.tasks.plain.calculation import work_out
from stepnav.tasks.plain.questions import RELATIONS
from stepnav.tasks.plain.wording import Wording, _parsed
from stepnav.tasks.splits import split_of

HELD_OUT = Path(__file__).parents[1] / "zoo" / "plain_questions.jsonl"

ids = st.builds(
    "plain-{}-{}-{}".format,
    st.sampled_from(plain.SPLITS),
    st.integers(0, 20),
    st.integers(0, 10_000),
)


@given(ids)
@settings(deadline=None)
def test_reference_solutions_are_right_and_short(problem_id: str) -> None:
    problem = plain.problem(problem_id)
    steps = plain.solve(problem_id)
    assert {verdict.rating for verdict in plain.rate_steps(problem, steps)} == {1}
    assert 2 <= len(steps) <= 6
    assert plain.grade(problem, "".join(steps))
    assert 0 <= int(problem.answer or "-1") <= 9999


@given(ids)
@settings(deadline=None)
def test_every_equation_is_true(problem_id: str) -> None:
    for step in plain.solve(problem_id)[:-1]:
        left, right = step.split(" = ")
        assert eval(left.replace("/", "//")) == int(right)  # digits and signs of our own


@given(ids)
@settings(deadline=None)
def test_questions_are_one_line_without_slots_and_belong_to_their_split(problem_id: str) -> None:
    question = plain.problem(problem_id).question
    assert not set("\n{}|") & set(question)
    assert "  " not in question
    assert split_of(question) == problem_id.split("-")[1]


@given(ids, st.integers(0, 2**32))
@settings(deadline=None)
def test_a_changed_result_is_wrong_exactly_where_it_was_changed(problem_id: str, seed: int) -> None:
    rng = random.Random(seed)
    steps = plain.solve(problem_id)
    number = rng.randrange(len(steps) - 1)
    start = steps[number].index("= ") + 2
    offset = rng.randrange(start, len(steps[number].rstrip()))
    digit = rng.choice([d for d in "0123456789" if d != steps[number][offset]])
    steps[number] = steps[number][:offset] + digit + steps[number][offset + 1 :]
    verdicts = plain.rate_steps(plain.problem(problem_id), steps)
    assert [verdict.rating for verdict in verdicts[:number]] == [1] * number
    assert verdicts[number] == arithmetic.StepVerdict(-1, offset)
    assert verdicts[-1].rating == -1  # the answer stands on every calculation


def test_changes_may_be_told_in_another_order() -> None:
    for index in range(20_000):
        name = f"plain-train-0-{index}"
        question = plain.question_of(name)
        if question.kind == "change" and len(question.plans) > 1:
            break
    other = question.plans[1]
    steps = [calculation.texts[-1] for calculation in other] + [f"#### {question.answer}"]
    assert {v.rating for v in plain.rate_steps(plain.problem(name), steps)} == {1}


def test_a_repeated_step_is_right_but_unneeded_and_a_wrong_one_does_not_advance() -> None:
    problem = plain.load("dev", 1)[0]
    first, *rest = plain.solve(problem.id)
    steps = [first, first, "1 + 1 = 3\n", *rest]
    assert [v.rating for v in plain.rate_steps(problem, steps)] == [1, 0, -1, *[1] * len(rest)]


def test_the_answer_before_its_calculations_is_wrong() -> None:
    problem = plain.load("dev", 1)[0]
    assert plain.rate_steps(problem, [f"#### {problem.answer}"])[0].rating == -1


def test_long_products_are_split_and_operands_follow_the_question() -> None:
    (reference, whole) = work_out("p = a * b", {"a": 24, "b": 15}, ["b", "a"]) or ()
    assert [step.texts[0] for step in reference] == [
        "24 * 10 = 240",
        "24 * 5 = 120",
        "240 + 120 = 360",
    ]
    assert [step.texts for step in whole] == [("15 * 24 = 360", "24 * 15 = 360")]


@pytest.mark.parametrize(
    ("percent", "steps"),
    [
        (25, ["80 / 4 = 20"]),
        (30, ["80 / 10 = 8", "8 * 3 = 24"]),
        (75, ["80 / 4 = 20", "20 * 3 = 60"]),
        (15, ["80 / 20 = 4", "4 * 3 = 12"]),
    ],
)
def test_percentages_divide_first(percent: int, steps: list[str]) -> None:
    plans = work_out("p = a % r", {"a": 80, "r": percent}) or ()
    assert [step.texts[0] for step in plans[0]] == steps


def test_what_leaves_the_natural_numbers_does_not_work_out() -> None:
    assert work_out("p = a - b", {"a": 3, "b": 5}) is None
    assert work_out("p = a / b", {"a": 3, "b": 2}) is None
    assert work_out("p = a * b", {"a": 300, "b": 200}) is None


def test_every_slot_of_every_template_can_be_filled() -> None:
    for kind, relations in RELATIONS.items():
        for relation in relations:
            names = {part.partition("=")[0].partition(":")[0] for part in relation.draw.split()}
            for template in relation.templates:
                wording = Wording(random.Random(0), {**dict.fromkeys(names, 3), "x": 2})
                text = wording.fill(template)
                assert "{" not in text and "(" not in text, (kind, template)
                assert _parsed(template), template


def test_there_are_hundreds_of_wordings_of_each_kind() -> None:
    wordings: dict[str, set[str]] = {}
    for index in range(12_000):
        question = plain.question_of(f"plain-train-3-{index}")
        wordings.setdefault(question.kind, set()).add(shape(question.text))
    assert min(map(len, wordings.values())) > 300, {k: len(v) for k, v in wordings.items()}


def shape(text: str) -> str:
    """Return a question without its numbers and names."""
    return re.sub(r"\d+|\b[A-Z]\w+", "_", text)


def test_no_wording_of_the_held_out_questions_is_drawn() -> None:
    rows = [json.loads(line) for line in HELD_OUT.read_text().splitlines()]
    # sums in six words, such as "What is half of 86?", can be said in few ways only
    held_out = {shape(row["question"]) for row in rows if len(row["question"].split()) > 6}
    drawn = {shape(plain.question_of(f"plain-train-0-{index}").text) for index in range(12_000)}
    assert len(rows) == 100
    assert not held_out & drawn


def test_problems_depend_on_split_seed_and_index_alone() -> None:
    first = plain.load("dev", 20, 3)
    plain.question_of.cache_clear()
    assert plain.load("dev", 30, 3)[:20] == first
    assert plain.load("dev", 20, 4) != first


def test_a_typed_question_is_one_line_with_plain_quotes() -> None:
    question = plain.ask("What\u2019s \u201c2 + 2\u201d,\n please?").question
    assert question == 'What\'s "2 + 2", please?'


def test_foreign_ids_and_splits_are_refused() -> None:
    with pytest.raises(DataError, match="arithmetic-test-1"):
        plain.problem("arithmetic-test-1")
    with pytest.raises(ValueError, match="split"):
        plain.load("validation", 3)
