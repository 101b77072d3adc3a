from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepnav.core.budget import Usage
from stepnav.core.codec import decode_result, encode_result
from stepnav.core.outcome import Outcome, SearchResult
from stepnav.core.records import Problem, Step, Trajectory
from stepnav.core.requests import Complete
from stepnav.core.tree import Tree
from stepnav.labels.records import StepRecord
from stepnav.labels.rollouts import METHODS, label_problem, rollout_records
from stepnav.train.heads import outcomes

PROBLEM = Problem("p", "how many")
NUM_SAMPLES = 3

RIGHT = "right"
"""The last step of a right solution."""

UNCLEAR = "unclear"
"""The last step of a solution that cannot be graded."""


def solution(words: str, *, finish: Any = "end") -> Trajectory:
    """Return a solution of these steps."""
    *begin, last = words.split()
    return Trajectory(PROBLEM, (*(Step(f"{word}\n") for word in begin), Step(last, finish)))


def is_right(found: Trajectory) -> bool | None:
    """Judge a solution by its last step."""
    last = found.steps[-1].text
    return None if last == UNCLEAR else found.is_finished and last == RIGHT


def play(
    drawn: Sequence[Trajectory], hits: Mapping[str, int | str] | None = None, **options: Any
) -> tuple[SearchResult, list[str]]:
    """Return the result for these solutions and the prefixes that were completed, the root as "".

    Args:
      drawn: the problem's solutions.
      hits: prefix -> how many of its completions are right, or the last step of them all.
      options: of the program.
    """
    asked: list[str] = []
    tree = Tree(PROBLEM)
    program = label_problem(
        tree,
        is_right=is_right,
        solutions=len(drawn),
        samples=NUM_SAMPLES,
        temperature=1.0,
        **options,
    )
    try:
        requests = next(program)
        if "paths" not in options:
            (first,) = requests
            assert isinstance(first, Complete)
            assert (first.n, first.prefix.steps) == (len(drawn), ())
            requests = program.send([tuple(drawn)])
        while True:
            answers: list[Any] = []
            for request in requests:
                assert isinstance(request, Complete)
                assert request.n == NUM_SAMPLES
                asked.append(" ".join(step.key for step in request.prefix.steps))
                count = (hits or {}).get(asked[-1], 0)
                if isinstance(count, str):
                    ends = [count] * NUM_SAMPLES
                else:
                    ends = [RIGHT] * count + ["wrong"] * (NUM_SAMPLES - count)
                answers.append(tuple(request.prefix.extend(Step(text, "end")) for text in ends))
            requests = program.send(answers)
    except StopIteration as end:
        outcome: Outcome = end.value
    return SearchResult("p", "r", {}, "p", 0, None, outcome, tree, Usage(), 1), asked


def play_requests(asked: list[int | None], **options: Any) -> None:
    """Note the token limits of the requests for a wrong solution of one step, and its question."""
    program = label_problem(
        Tree(PROBLEM), is_right=lambda _: False, solutions=1, samples=1, temperature=1.0, **options
    )
    (first,) = next(program)
    (second,) = program.send([(solution("a no"),)])
    for request in (first, second):
        assert isinstance(request, Complete)
        asked.append(request.sampling.max_tokens)
    program.close()


def records(result: SearchResult, labels: Any = "hard") -> list[StepRecord]:
    """Return a result's records, as they are after the journal."""
    found = rollout_records(result, labels=labels)
    assert rollout_records(decode_result(encode_result(result)), labels=labels) == found
    return found


def test_a_wrong_solution_is_completed_from_its_end_until_a_completion_is_right() -> None:
    result, asked = play([solution("a b c d e"), solution("x right")], {"a b": 1, "a": 0})
    assert asked == ["a b c d", "a b c", "a b"]
    wrong, right = records(result)
    assert wrong.labels == (1, 1, -1, -1, -1)
    assert wrong.completions == ("a\n", "b\n", "c\n", "d\n", "e")
    assert wrong.prompt == "how many"
    assert (wrong.origin, right.origin) == ("p/0", "p/1")
    assert right.labels == (1, 1)


def path(words: str) -> Trajectory:
    """Return steps that a search left."""
    return Trajectory(PROBLEM, tuple(Step(f"{word}\n") for word in words.split()))


def test_paths_of_a_tree_are_labelled_to_their_last_step_and_nothing_is_drawn() -> None:
    paths = [path("a b"), path("a c"), solution("a b right"), path("a c")]
    result, asked = play([], {"": 1}, paths=paths)
    assert asked == ["a c"]  # "a b right" is right, so "a" and "a b" are
    assert {record.completions: record.labels for record in records(result)} == {
        ("a\n", "c\n"): (1, -1),
        ("a\n", "b\n", "right"): (1, 1, 1),
    }
    assert result.outcome.counts == {
        "drawn": 4, "cut": 0, "duplicates": 1, "right": 1, "solved": 1, "ungraded": 0,
    }  # fmt: skip
    assert result.outcome.trajectory == paths[2]
    assert [record.completions[-1] for record in outcomes(records(result))[0]] == ["right"]


def test_the_soft_label_of_a_path_that_was_left_is_the_share_from_its_end() -> None:
    result, asked = play([], {"": 1, "a": 2, "a b": 1}, paths=[path("a b")], labels="soft")
    assert asked == ["", "a", "a b"]
    (record,) = records(result, "soft")
    assert outcomes([record]) == ([], 1)
    assert record.labels == (2 / NUM_SAMPLES, 1 / NUM_SAMPLES)


@pytest.mark.parametrize("method", METHODS)
def test_a_right_solution_shows_that_its_steps_are_right_and_needs_no_completion(
    method: Any,
) -> None:
    result, asked = play([solution("a b c right")], method=method)
    assert asked == []
    assert [record.labels for record in records(result)] == [(1, 1, 1, 1)]


@pytest.mark.parametrize("method", METHODS)
def test_what_one_solution_shows_counts_for_all_of_the_problem(method: Any) -> None:
    result, asked = play([solution("a b no"), solution("a b c right")], method=method)
    assert asked == []
    wrong, right = records(result)
    assert wrong.labels == (1, 1, -1)
    assert right.labels == (1, 1, 1, 1)


def test_equal_prefixes_are_completed_once_and_equal_solutions_make_one_record() -> None:
    drawn = [solution("a b no"), solution("a b other"), solution("a b no"), solution("right")]
    result, asked = play(drawn)
    assert asked == ["a b", "a"]
    assert [record.labels for record in records(result)] == [(-1, -1, -1), (-1, -1, -1), (1,)]
    assert result.outcome.counts == {
        "drawn": 4, "cut": 0, "duplicates": 1, "right": 1, "solved": 1, "ungraded": 0,
    }  # fmt: skip


def test_a_blank_step_has_no_label() -> None:
    blank = Trajectory(PROBLEM, (Step("a\n"), Step(" \n"), Step("right", "end")))
    result, _ = play([blank])
    assert [record.labels for record in records(result)] == [(1, None, 1)]


def test_soft_labels_are_each_prefixs_own_share() -> None:
    result, asked = play(
        [solution("a b c right"), solution("a x no")], {"a": 1, "a b": 0, "a b c": 3}, labels="soft"
    )
    assert asked == ["a", "a b", "a b c", "a x"]
    first, second = records(result, "soft")
    assert first.labels == (1 / 3, 0.0, 1.0, 1.0)
    assert second.labels == (1 / 3, 0.0, 0.0)
    assert all(isinstance(label, float) for label in first.labels + second.labels)


def test_outcomes_are_the_share_of_solutions_through_a_step_and_nothing_is_completed() -> None:
    drawn = [solution("a b right"), solution("a b no"), solution("a c no"), solution("a b no")]
    result, asked = play(drawn, labels="outcome")
    assert asked == []
    assert result.outcome.counts["duplicates"] == 1
    assert [record.labels for record in records(result, "outcome")] == [
        (1 / 4, 1 / 3, 1.0), (1 / 4, 1 / 3, 0.0), (1 / 4, 0.0, 0.0)
    ]  # fmt: skip


def test_a_solution_that_was_cut_is_a_wrong_outcome_of_the_steps_before_its_cut() -> None:
    drawn = [solution("a right"), solution("a b no", finish="length"), solution("c right")]
    drawn += [solution("c right", finish="length")]  # cut there, it is not the last step of another
    result, _ = play(drawn, labels="outcome")
    assert result.outcome.counts["cut"] == 2
    assert [record.labels for record in records(result, "outcome")] == [(1 / 2, 1.0)] * 2


def test_outcomes_of_a_problem_that_is_never_solved_are_kept() -> None:
    result, asked = play([solution("a no"), solution("b c no")], labels="outcome")
    assert asked == []
    assert [record.labels for record in records(result, "outcome")] == [(0.0, 0.0), (0.0, 0.0, 0.0)]


def test_a_path_that_was_left_has_no_outcome_of_its_own() -> None:
    result, asked = play([], paths=[path("a b"), solution("a right")], labels="outcome")
    assert asked == []
    assert [record.labels for record in records(result, "outcome")] == [(1.0, None), (1.0, 1.0)]


def test_a_solution_that_cannot_be_graded_has_no_label_at_its_end_and_spoils_no_step() -> None:
    drawn = [solution("a unclear"), solution("a b right"), solution("c unclear")]
    result, asked = play(drawn, {"c": 0})
    assert asked == ["c"]
    assert [record.labels for record in records(result)] == [(1, None), (1, 1, 1), (-1, None)]
    assert result.outcome.counts["ungraded"] == 2
    # what has no label at its end has no outcome, unless a step is wrong
    found, left_out = outcomes(records(result))
    assert [(record.completions[0], record.labels[-1]) for record in found] == [
        ("a\n", 1),
        ("c\n", -1),
    ]
    assert left_out == 1


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, (1, None, -1, -1)),
        ({"method": "bisection"}, (1, None, None, None)),
        ({"labels": "soft"}, (1 / NUM_SAMPLES, None, 0.0, 0.0)),
    ],
)
def test_completions_that_cannot_be_graded_tell_nothing_of_a_step(
    options: Any, expected: tuple[Any, ...]
) -> None:
    drawn = [solution("a b c no"), solution("right")]
    result, _ = play(drawn, {"a": 1, "a b": UNCLEAR}, **options)
    assert records(result, options.get("labels", "hard"))[0].labels == expected
    assert result.outcome.counts["ungraded"] == NUM_SAMPLES


def test_an_outcome_is_the_share_among_the_solutions_that_were_graded() -> None:
    drawn = [solution("a right"), solution("a unclear"), solution("a no"), solution("b unclear")]
    result, _ = play(drawn, labels="outcome")
    assert [record.labels for record in records(result, "outcome")] == [
        (1 / 2, 1.0), (1 / 2, None), (1 / 2, 0.0)
    ]  # fmt: skip


@given(st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n - 1))))
def test_bisection_finds_the_first_wrong_step_with_few_completions(case: tuple[int, int]) -> None:
    length, first = case
    words = [f"w{number}" for number in range(length)]
    hits = {" ".join(words[:n]): 2 for n in range(1, first + 1)}
    result, asked = play([solution(" ".join(words)), solution(RIGHT)], hits, method="bisection")
    found = records(result)[0]
    assert found.labels == (*(1,) * first, -1, *(None,) * (length - first - 1))
    assert len(asked) <= length.bit_length()


@pytest.mark.parametrize(
    ("method", "labels"), [("each", "hard"), ("each", "soft"), ("bisection", "hard")]
)
def test_a_problem_that_is_never_solved_is_left_out(method: Any, labels: Any) -> None:
    result, asked = play([solution("a b"), solution("c d")], method=method, labels=labels)
    assert asked == [""]
    assert result.outcome.counts["solved"] == 0
    assert records(result, labels) == []
    kept, asked = play(
        [solution("a b"), solution("c d")], method=method, labels=labels, keep_unsolved=True
    )
    assert asked == ["", "a", "c"]
    assert kept.outcome.counts["solved"] == 0
    assert [record.labels[0] for record in records(kept, labels)] == [
        0.0 if labels == "soft" else -1
    ] * 2


def test_a_right_completion_of_the_question_is_evidence_enough() -> None:
    result, asked = play([solution("a b no")], {"": 1})
    assert asked == ["", "a b", "a"]
    assert [record.labels for record in records(result)] == [(-1, -1, -1)]


def test_the_limit_of_tokens_is_that_of_solutions_and_completions() -> None:
    def program(max_tokens: int | None) -> list[int | None]:
        asked: list[int | None] = []
        play_requests(asked, max_tokens=max_tokens)
        return asked

    assert program(None) == [None, None]
    assert program(40) == [40, 40]


def test_solutions_that_were_cut_are_left_out() -> None:
    result, asked = play([solution("a right", finish="length")])
    assert (result.outcome.stop_reason, result.outcome.trajectory, asked) == ("length", None, [])
    assert records(result) == []
    result, _ = play([solution("a b", finish="length"), solution("right")])
    assert [record.completions for record in records(result)] == [(RIGHT,)]
    assert result.outcome.counts["cut"] == 1


WORDS = st.lists(st.sampled_from("abc"), max_size=4)
SOLUTIONS = st.lists(
    st.tuples(WORDS, st.sampled_from([RIGHT, "no"])).map(
        lambda s: solution(" ".join([*s[0], s[1]]))
    ),
    min_size=1,
    max_size=5,
)
HITS = st.dictionaries(WORDS.map(" ".join), st.integers(0, NUM_SAMPLES))


@given(SOLUTIONS, HITS, st.sampled_from(METHODS), st.booleans())
def test_hard_labels_never_contradict_what_was_seen(
    drawn: list[Trajectory], hits: dict[str, int], method: Any, keep: bool
) -> None:
    result, asked = play(drawn, hits, method=method, keep_unsolved=keep)
    found = records(result)
    assert len(asked) == len(set(asked))
    labels: dict[tuple[str, ...], set[Any]] = {}
    for record in found:
        known = [label for label in record.labels if label is not None]
        assert known == sorted(known, reverse=True)  # nothing right stands behind a wrong step
        for number, label in enumerate(record.labels, 1):
            labels.setdefault(record.completions[:number], set()).add(label)
    assert all(len(kinds) == 1 for kinds in labels.values())
    for prefix in asked:
        if prefix and hits.get(prefix):
            texts = tuple(f"{word}\n" for word in prefix.split())
            assert labels[texts] == {1}
    for record in outcomes(found)[0]:
        assert (record.labels[-1] == 1) == (record.completions[-1] == RIGHT)


@given(SOLUTIONS, HITS)
def test_stopping_at_the_first_right_completion_gives_the_labels_of_all(
    drawn: list[Trajectory], hits: dict[str, int]
) -> None:
    result, _ = play(drawn, hits, keep_unsolved=True)
    seen: set[tuple[str, ...]] = set()
    for found in drawn:
        texts = tuple(step.key for step in found.steps)
        for length in range(1, len(texts)):
            if texts[-1] == RIGHT or hits.get(" ".join(texts[:length])):
                seen |= {texts[:n] for n in range(1, length + 1)}
    for record in records(result):
        texts = tuple(text.strip() for text in record.completions)
        for number, label in enumerate(record.labels[:-1], 1):
            assert (label == 1) == (texts[:number] in seen)
