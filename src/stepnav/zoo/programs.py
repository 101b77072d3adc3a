"""Labels programs line by line, by running them: samples of a policy, and references with remarks.

A line is right (1) if the reference has it too, neutral (0) if it is right and the reference does
without it, wrong (-1) if no remainder of the reference makes up for it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from itertools import takewhile

from stepnav.core.records import Problem
from stepnav.labels.records import StepRecord
from stepnav.sandbox.judge import judge_problem
from stepnav.sandbox.pool import Sandbox
from stepnav.tasks.arithmetic.problems import num_common
from stepnav.tasks.micro_python import problems as micro_python

CPU_S = 0.25
"""CPU seconds of a program; the references take a thousandth of a second."""

MAX_REMARKS = 2
"""Lines without effect that one reference gets at most."""

_CLAUSE = re.compile(r", (?:which |then )?|\. It | and |\.")
_ASSIGNED = re.compile(r"^\s*(?:for )?(\w+) (?:=|in) ")


def remarked(sandbox: Sandbox, problem: Problem, seed: int) -> list[StepRecord]:
    """Return the reference with comments and statements without effect, unless they have one.

    What a comment says is a part of the question.
    """
    rng = random.Random(f"remarks of {problem.id}/{seed}")
    reference = micro_python.solve(problem.id)
    places = range(1, len(reference))
    chosen = sorted(rng.sample(places, min(len(places), rng.randint(1, MAX_REMARKS))))
    steps, labels = list(reference), [1] * len(reference)
    for place in reversed(chosen):
        steps.insert(place, _remark(problem, reference, place, rng))
        labels.insert(place, 0)
    if not passes(sandbox, [problem], ["".join(steps)])[0]:
        return []
    return [StepRecord(problem.question, tuple(steps), tuple(labels))]


def _remark(problem: Problem, reference: Sequence[str], place: int, rng: random.Random) -> str:
    """Return a line without effect that may stand before a line of the reference."""
    line = reference[place]
    blanks = line[: len(line) - len(line.lstrip(" "))]
    names = [match[1] for line in reference[:place] if (match := _ASSIGNED.match(line))]
    sentence = problem.question.splitlines()[0]
    clauses = [part for part in _CLAUSE.split(sentence)[1:] if part] or [sentence]
    name, clause = rng.choice(names), rng.choice(clauses)
    return blanks + rng.choice([f"# {clause}", f"# {clause}", "pass", f"{name} = {name}"]) + "\n"


def spliced(sandbox: Sandbox, problem: Problem, text: str) -> StepRecord:
    """Return a sample labelled by splicing; steps after the first wrong one are left out.

    No step of a program that passes is wrong. In one that fails, the first k are not if they pass
    the tests with the reference's lines from k on, or from k + 1 on where one line stands for two.
    Other remainders are not tried: the whole reference after a wrong line would often make up for
    it. A wrong line is wrong from the first character on that sets it apart from every line of the
    reference.
    """
    steps = text.splitlines(keepends=True)
    reference = micro_python.solve(problem.id)
    lines, bare = ([text.rstrip("\n") for text in texts] for texts in (reference, steps))
    labels = tuple(int(step in lines) for step in bare)
    whole = StepRecord(problem.question, tuple(steps), labels)
    if bare == lines or passes(sandbox, [problem], [text])[0]:
        return whole
    num_same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(bare, lines)))
    for number, step in enumerate(steps[num_same:], num_same):  # the reference's own start is right
        head = "".join(steps[: number + 1]).rstrip("\n") + "\n"
        rests = ("".join(reference[number + 1 + skip :]) for skip in (0, 1))
        if not any(passes(sandbox, [problem], [head + rest])[0] for rest in rests):
            start = max(num_common(step, line) for line in reference)
            return StepRecord(
                problem.question,
                tuple(steps[: number + 1]),
                (*labels[:number], -1),
                (*(None,) * number, start),
            )
    return whole


def passes(sandbox: Sandbox, problems: Sequence[Problem], bodies: Sequence[str]) -> list[bool]:
    """Return whether each problem's header with a body passes all tests, each in its own fork."""
    found = []
    for problem, body in zip(problems, bodies, strict=True):
        suite = micro_python.suite_of(problem)
        assert suite is not None, "a drawn problem has tests"
        program = micro_python.after_prompt(problem, body)
        verdict = judge_problem(sandbox, suite, program, cpu_s=CPU_S)
        found.append(verdict.status == "passed")
    return found
