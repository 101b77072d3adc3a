"""The arithmetic domain: word problems, and an exact checker that labels the policy's mistakes."""

from __future__ import annotations

from collections.abc import Sequence

from stepnav.core.records import Problem
from stepnav.labels.records import StepRecord
from stepnav.tasks.arithmetic import problems as arithmetic
from stepnav.zoo.domain import Cards, Count, Domain, HeldOut, Sampler
from stepnav.zoo.scale import TINY, Scale
from stepnav.zoo.tokenizer import WORD_PATTERN

GATE_SAMPLES = 2
"""Sampled solutions per problem that the gate is measured on."""

SCALES: dict[str, Scale] = {"cpu": Scale(), "tiny": TINY}
"""`cpu` makes the shipped models, `tiny` useless ones in seconds."""


def split_solution(text: str) -> list[str]:
    """Return a solution's steps, each with the separator that was written after it."""
    return text.splitlines(keepends=True)


def labelled(problem: Problem, solution: str) -> StepRecord:
    """Return the solution up to and including its first wrong step, labelled by the checker.

    Steps after a first error are left out, as no label is meaningful there (Lightman et al. 2023,
    section 2.4).
    """
    steps = split_solution(solution)
    verdicts = arithmetic.rate_steps(problem, steps)
    wrong = [number for number, verdict in enumerate(verdicts) if verdict.rating == -1]
    end = wrong[0] + 1 if wrong else len(steps)
    return StepRecord(
        prompt=problem.question,
        completions=tuple(steps[:end]),
        labels=tuple(verdict.rating for verdict in verdicts[:end]),
        wrong_from=tuple(verdict.wrong_from for verdict in verdicts[:end]),
    )


def label_samples(
    problems: Sequence[Problem], sample: Sampler, seed: int, progress: Count
) -> list[StepRecord]:
    """Return the policy's solutions, labelled."""
    solutions = sample(problems, progress)
    return [
        labelled(problem, text) for problem, group in zip(problems, solutions) for text in group
    ]


def hold_out(
    problems: Sequence[Problem], groups: Sequence[Sequence[str]], seed: int, progress: Count
) -> list[HeldOut]:
    """Return `GATE_SAMPLES` of the policy's solutions per problem, labelled."""
    records = [
        labelled(problem, text)
        for problem, group in zip(problems, groups, strict=True)
        for text in group[:GATE_SAMPLES]
        if text
    ]
    return [HeldOut("samples", records)]


def grade(problems: Sequence[Problem], solutions: Sequence[str]) -> list[bool]:
    """Return whether each solution's answer is right."""
    return [arithmetic.grade(*pair) for pair in zip(problems, solutions, strict=True)]


DOMAIN = Domain(
    name="arithmetic",
    scales=SCALES,
    prompt_template=arithmetic.PROMPT_TEMPLATE,
    separator=arithmetic.SEPARATOR,
    token_pattern=WORD_PATTERN,
    problem=arithmetic.problem,
    question=lambda problem_id: arithmetic.problem(problem_id).question,
    solve=arithmetic.solve,
    load=arithmetic.load,
    grade=grade,
    label=label_samples,
    hold_out=hold_out,
    cards=Cards(
        policy="""\
A Llama-architecture language model, trained from scratch, that writes step-by-step solutions of \
grade-school word
problems, and often gets them wrong.""",
        prm="""\
It rates each step of a solution as negative (wrong), neutral (right but unneeded) or positive \
(right and needed).""",
        data="""\
Word problems from the package's own generator (`stepnav.tasks.arithmetic`): ten kinds of everyday \
stories, told in the
order in which they are solved, with 3 to 8 dependent calculations. A solution is one step \
per line and ends with
`#### answer`. A question's hash decides whether it belongs to train, dev or test, so that no \
test question is ever drawn
in training.""",
        labels="""\
The policy was sampled on training questions that the language model had not seen \
({solutions} solutions, temperatures
{temperatures}); an exact checker labelled {steps} steps, up to the first wrong one of each \
solution.""",
        held_out={
            "samples": "The policy's own samples at temperature 1, labelled by the exact checker"
        },
        limits="""\
The models know these stories and nothing else: other wording, larger numbers or other kinds of \
arithmetic are outside their
data. They are meant for trying search methods offline, for tests and for teaching, not for \
solving real problems.""",
    ),
)
