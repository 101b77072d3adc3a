import random
from collections.abc import Iterator, Sequence

import pytest

from stepnav.core.records import Problem
from stepnav.mutate.records import MutationRecord
from stepnav.rewards.local.step_format import StepFormat
from stepnav.sandbox.pool import Sandbox
from stepnav.tasks.micro_python import problems as micro_python
from stepnav.zoo.language import reference_pairs
from stepnav.zoo.micro_python import (
    DOMAIN,
    HELD_OUT_OPERATORS,
    MUTANTS_PER_PROBLEM,
    REMARK,
    grade,
    hold_out,
    label,
    lines_of,
    spread,
)
from stepnav.zoo.programs import remarked, spliced
from stepnav.zoo.tokenizer import train_tokenizer
from stepnav.zoo.training.targets import STEP_END, encode_records

HEADER = "def solve(xs):"
BODY = ("    total = 0\n", "    for x in xs:\n", "        total += x\n", "    return total\n")
CALLS = [{"args": [[1, 2, 3]], "expected": 6}, {"args": [[]], "expected": 0}]
PROBLEM = Problem(
    "micro-python-train-0-0",
    f"Add them up.\n{HEADER}",
    "".join(BODY),
    {"entry_point": "solve", "header": HEADER, "public": CALLS[:1], "hidden": CALLS[1:]},
)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as box:
        yield box


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(micro_python, "solve", lambda problem_id: list(BODY))


def copyist(problems: Sequence[Problem], progress: object) -> list[list[str]]:
    """Stands for a policy that writes each reference, twice, without its last line the second
    time."""
    steps = [list(micro_python.solve(problem.id)) for problem in problems]
    return [["".join(lines), "".join(lines[:-1]), "".join(lines), ""] for lines in steps]


def test_lines_before_the_change_are_right_and_those_after_it_unknown() -> None:
    text = "    else:\n        a = 1\n        b = 2\n"
    assert [row[1:] for row in lines_of(text, -1, 20)] == [(1, None), (-1, 10), (None, None)]
    assert [row[1:] for row in lines_of(text, 1, None)] == [(1, None)] * 3


@pytest.mark.usefixtures("known")
def test_samples_are_labelled_by_what_the_reference_can_make_of_them(sandbox: Sandbox) -> None:
    right = spliced(sandbox, PROBLEM, "".join(BODY))
    assert right.labels == (1, 1, 1, 1)
    wrong = spliced(sandbox, PROBLEM, BODY[0] + BODY[1] + "        total -= x\n" + BODY[3])
    assert wrong.labels == (1, 1, -1)
    assert wrong.completions[-1] == "        total -= x\n"
    assert wrong.wrong_from == (None, None, len("        total "))
    harmless = BODY[0] + "    spare = 1\n" + "".join(BODY[1:]).rstrip("\n")
    assert spliced(sandbox, PROBLEM, harmless).labels == (1, 0, 1, 1, 1)
    made_up_for = "    total = 5\n" + BODY[1] + BODY[2] + BODY[3]
    assert spliced(sandbox, PROBLEM, made_up_for).labels == (-1,)
    shorter = "    total = sum(xs)\n" + "    return total + 1\n"
    assert spliced(sandbox, PROBLEM, shorter).labels == (-1,)


@pytest.mark.usefixtures("known")
def test_held_out_sets_are_samples_and_mutants_by_operator() -> None:
    groups = [["".join(BODY), "    return 0\n"]]
    samples, mutants = hold_out([PROBLEM], groups, 3, lambda done, total: None)
    assert [record.labels for record in samples.records] == [(1, 1, 1, 1), (-1,)]
    assert samples.kinds is None
    assert mutants.kinds is not None
    assert len(mutants.kinds) == len(mutants.records)
    assert "none (the reference)" in mutants.kinds
    remark = mutants.records[mutants.kinds.index(REMARK)]
    assert 0 in remark.labels


@pytest.mark.usefixtures("known")
def test_remarks_are_neutral_and_the_reference_does_without_them(sandbox: Sandbox) -> None:
    found = [record for seed in range(2, 8) for record in remarked(sandbox, PROBLEM, seed)]
    assert len(found) == 6  # one with an effect, such as a name that is not there yet, is left out
    for record in found:
        left = [line for line, rating in zip(record.completions, record.labels) if rating == 1]
        assert tuple(left) == BODY
        assert record.labels[0] == 1
        assert 1 <= record.labels.count(0) <= 2


@pytest.mark.usefixtures("known")
def test_a_remark_that_has_an_effect_is_left_out(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepnav.zoo.programs._remark", lambda *args: "    return 1\n")
    assert remarked(sandbox, PROBLEM, 0) == []


def test_training_sees_no_operator_that_is_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def note(records: Sequence[MutationRecord], count: int, rng: random.Random) -> object:
        seen.extend(record.operator for record in records)
        return spread(records, count, rng)

    monkeypatch.setattr("stepnav.zoo.micro_python.spread", note)
    problem = DOMAIN.problem(DOMAIN.training_id(1, 0))
    records = label([problem], copyist, 0, lambda done, total: None)
    assert len(set(seen)) > 3
    assert not HELD_OUT_OPERATORS & set(seen)
    remark, *mutants, right, cut = records
    assert set(remark.labels) == {0, 1}
    assert len(mutants) == MUTANTS_PER_PROBLEM
    assert set(right.labels) == {1}
    assert cut.completions == right.completions[:-1]
    assert mutants[0].labels == (1,) * len(mutants[0].labels)
    assert all(record.labels.count(-1) <= 1 for record in records)
    assert all(record.prompt == problem.question for record in records)


def test_the_changed_token_is_the_first_with_a_negative_target() -> None:
    problem = DOMAIN.problem(DOMAIN.training_id(1, 0))
    records = label([problem], copyist, 0, lambda done, total: None)
    pairs = reference_pairs(DOMAIN, 200, seed=0)
    tokenizer = train_tokenizer(
        (a + b for a, b in pairs), vocab_size=512, pattern=DOMAIN.token_pattern
    )
    record = next(record for record in records if -1 in record.labels)
    ids, targets = encode_records(tokenizer, [record], StepFormat()).row(0)
    first = next(n for n, target in enumerate(targets) if target in (0, STEP_END))
    step = record.labels.index(-1)
    text = tokenizer.decode(ids[1:first])
    written = f"{record.prompt}\n" + "".join(record.completions[:step])
    assert record.wrong_from is not None
    start = record.wrong_from[step]
    assert start is not None
    expected = written + record.completions[step][:start]
    assert expected.startswith(text)
    assert len(expected) - len(text) < 8  # within one token


def test_programs_are_graded_by_all_their_tests() -> None:
    solutions = ["".join(BODY), "".join(BODY).rstrip("\n"), "    return 6\n", "    return (\n", ""]
    assert grade([PROBLEM] * 5, solutions) == [True, True, False, False, False]


def test_spread_takes_few_of_one_operator_and_of_one_step() -> None:
    with Sandbox() as box:
        from stepnav.zoo.micro_python import mutate

        found = mutate(box, DOMAIN.problem(DOMAIN.training_id(1, 0)), 0)
    chosen = spread(found, 8, random.Random(0))
    assert len(chosen) == 8
    assert len({record.operator for record in chosen}) >= 5
    assert chosen[0].step is None
