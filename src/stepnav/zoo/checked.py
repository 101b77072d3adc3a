"""Labels by a task's exact step checker: what the policy writes, up to its first wrong step."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from stepnav.core.records import Problem
from stepnav.labels.records import StepRecord
from stepnav.tasks.arithmetic.problems import StepVerdict, grade
from stepnav.zoo.domain import Count, HeldOut, Sampler

GATE_SAMPLES = 2
"""Sampled solutions per problem that the gate is measured on."""

Checker = Callable[[Problem, Sequence[str]], "list[StepVerdict]"]


def grade_answers(problems: Sequence[Problem], solutions: Sequence[str]) -> list[bool]:
    """Return whether each solution's answer, a number after a mark, is right."""
    return [grade(*pair) for pair in zip(problems, solutions, strict=True)]


def split_solution(text: str) -> list[str]:
    """Return a solution's steps, each with the separator that was written after it."""
    return text.splitlines(keepends=True)


def labelled(check: Checker, problem: Problem, solution: str) -> StepRecord:
    """Return the solution up to and including its first wrong step, labelled by the checker.

    Steps after a first error are left out, as no label is meaningful there (Lightman et al. 2023,
    section 2.4).
    """
    steps = split_solution(solution)
    verdicts = check(problem, steps)
    wrong = [number for number, verdict in enumerate(verdicts) if verdict.rating == -1]
    end = wrong[0] + 1 if wrong else len(steps)
    return StepRecord(
        prompt=problem.question,
        completions=tuple(steps[:end]),
        labels=tuple(verdict.rating for verdict in verdicts[:end]),
        wrong_from=tuple(verdict.wrong_from for verdict in verdicts[:end]),
    )


def repeated(check: Checker, problem: Problem, reference: Sequence[str], seed: int) -> StepRecord:
    """Return the reference with one of its steps said again later on, labelled by the checker."""
    rng = random.Random(f"repeat of {problem.id}/{seed}")
    place = rng.randrange(1, len(reference))
    again = reference[rng.randrange(place)]
    return labelled(check, problem, "".join([*reference[:place], again, *reference[place:]]))


def label_samples_by(
    check: Checker, *, solve: Callable[[str], Sequence[str]] | None = None
) -> Callable[[Sequence[Problem], Sampler, int, Count], list[StepRecord]]:
    """Return what labels the policy's solutions, and references with a repeat where `solve` is set.

    The policy itself seldom says a step again, and a neutral step must be seen to be recognised.
    """

    def label(
        problems: Sequence[Problem], sample: Sampler, seed: int, progress: Count
    ) -> list[StepRecord]:
        solutions = sample(problems, progress)
        records = [
            labelled(check, problem, text)
            for problem, group in zip(problems, solutions)
            for text in group
        ]
        return records + repeats(check, problems, solve, seed)

    return label


def repeats(
    check: Checker,
    problems: Sequence[Problem],
    solve: Callable[[str], Sequence[str]] | None,
    seed: int,
) -> list[StepRecord]:
    """Return each reference with a repeat; none without references."""
    if solve is None:
        return []
    return [repeated(check, problem, solve(problem.id), seed) for problem in problems]


def hold_out_by(
    check: Checker, *, solve: Callable[[str], Sequence[str]] | None = None
) -> Callable[[Sequence[Problem], Sequence[Sequence[str]], int, Count], list[HeldOut]]:
    """Return what labels `GATE_SAMPLES` of the policy's solutions per problem, and the repeats."""

    def hold_out(
        problems: Sequence[Problem], groups: Sequence[Sequence[str]], seed: int, progress: Count
    ) -> list[HeldOut]:
        records = [
            labelled(check, problem, text)
            for problem, group in zip(problems, groups, strict=True)
            for text in group[:GATE_SAMPLES]
            if text
        ]
        found = repeats(check, problems, solve, seed)
        return [HeldOut("samples", records), *([HeldOut("repeats", found)] if found else [])]

    return hold_out
