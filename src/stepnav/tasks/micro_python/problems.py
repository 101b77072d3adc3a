"""Small Python functions asked for in plain words: the code task that ships with the package.

A function loops over numbers, digits, characters or words, does 1 to 3 things to each in the order
told, and returns what they come to. Problems are drawn from (split, seed, index) alone and are
re-created from their id, tests included. The
hash of the program decides its split: no function of the test split is ever drawn in training, in
whatever words.

The question ends with the function's header; a solution is the body, one line per step. Programs
are graded by running them in the sandbox on calls whose results are known, three of them public.
Deliberately absent: an exact step checker. Whether a program can still become right is undecidable,
so step labels come from mutants of the references.
"""

from __future__ import annotations

import random
import re
from functools import lru_cache
from typing import Any

from stepnav.core.errors import ConfigError
from stepnav.core.records import Problem
from stepnav.sandbox.records import Suite
from stepnav.tasks.micro_python.calls import is_meaningful, make_calls
from stepnav.tasks.micro_python.specs import Spec, draw_spec, tell
from stepnav.tasks.programs.program_text import (
    RETURN,
    canonical_body,
    canonical_program,
    is_whole_program,
    unfenced,
)
from stepnav.tasks.splits import SPLITS as SPLITS
from stepnav.tasks.splits import check_drawn, id_pattern, redrawn

SEPARATOR = "\n"
PROMPT_TEMPLATE = "{question}\n"
CHAT_TEMPLATE = (
    "Complete the Python function. Answer with the whole function in one ```python block and "
    "nothing else.\n\n{question}"
)
TEMPERATURE = None
"""Each strategy's own."""
ANSWER_PATTERN = rf"^\n*{RETURN}|^\n*\S"
"""A step that ends a body: a return at its own depth, or text in the first column."""
CHAT_ANSWER_PATTERN = r"^\s*```\s*$"
ENTRY_POINT = "solve"

_NAMED = re.compile(r"\bsolve\((\w+)\)")


def load(split: str, count: int, seed: int = 0) -> list[Problem]:
    """Return the first `count` different problems of a split.

    Args:
      split: "train", "dev" or "test".
      count: number of problems.
      seed: another seed draws other problems of the same split.

    Raises:
      ValueError: the split is unknown or the count is negative.
    """
    check_drawn(split, count)
    seen: set[str] = set()
    problems: list[Problem] = []
    index = 0
    while len(problems) < count:
        problem_id = f"micro-python-{split}-{seed}-{index}"
        program = spec_of(problem_id).program
        if program not in seen:
            seen.add(program)
            problems.append(problem(problem_id))
        index += 1
    return problems


def problem(problem_id: str) -> Problem:
    """Return the problem with this id, with its tests.

    Raises:
      DataError: the id does not belong to this task.
    """
    spec = spec_of(problem_id)
    metadata = {"entry_point": ENTRY_POINT, "header": spec.header, **calls_of(problem_id)}
    return Problem(problem_id, question_of(problem_id), "".join(spec.body), metadata)


def ask(text: str) -> Problem:
    """Return the user's own question as a problem without tests.

    Raises:
      ConfigError: it does not name the function and its argument.
    """
    named = _NAMED.search(text)
    if named is None:
        raise ConfigError(
            "a micro-python question must name the function and its argument, as in "
            "'Write a function solve(xs) that goes through the numbers in xs and returns their "
            "sum.'"
        )
    sentence = " ".join(text.partition("\ndef ")[0].split())
    header = f"def {ENTRY_POINT}({named[1]}):"
    return Problem("given", f"{sentence}\n{header}", None, {"header": header})


@lru_cache(maxsize=4096)
def spec_of(problem_id: str) -> Spec:
    """Return the structure behind a problem, re-created from its id.

    Raises:
      DataError: the id does not belong to this task.
    """
    return redrawn("micro-python", problem_id, draw_spec, lambda spec: spec.program, is_meaningful)


def question_of(problem_id: str) -> str:
    """Return the question: a sentence in wordings drawn from the id, and the header."""
    spec = spec_of(problem_id)
    return tell(spec, random.Random(f"question of {problem_id}")) + "\n" + spec.header


def calls_of(problem_id: str) -> dict[str, list[dict[str, Any]]]:
    """Return "public" and "hidden" calls, each `{"args": [...], "expected": ...}`."""
    return make_calls(spec_of(problem_id), random.Random(f"tests of {problem_id}"))


def solve(problem_id: str) -> list[str]:
    """Return the reference body's lines, each a step with its indentation and newline."""
    return spec_of(problem_id).body


def extract(text: str) -> str | None:
    r"""Return a solution in canonical layout: its body, or the program if it is a whole one.

    None if it does not parse or returns nothing.

    Example:
      >>> extract("    return(n+1)")
      '    return n + 1\n'
    """
    text = unfenced(text)
    if is_whole_program(text):
        return canonical_program(text, ENTRY_POINT)
    return canonical_body(text, f"def {ENTRY_POINT}():")


def program_of(problem: Problem, answer: str) -> str:
    """Return the program that an answer makes of a problem."""
    return answer if is_whole_program(answer) else f"{problem.metadata['header']}\n{answer}"


def find(problem_id: str) -> Problem | None:
    """Return the problem with this id, None if it does not belong to this task."""
    return problem(problem_id) if id_pattern("micro-python").fullmatch(problem_id) else None


def after_prompt(problem: Problem, completion: str) -> str:
    """Return the program that a sample makes: the header and what follows it, whatever that is."""
    return f"{problem.metadata['header']}\n{completion}"


def suite_of(problem: Problem, *, public: bool = False) -> Suite | None:
    """Return the test of a problem: all calls, or the public ones; None where there are none."""
    names = ("public",) if public else ("public", "hidden")
    calls = [call for name in names for call in problem.metadata.get(name, ())]
    if not calls:
        return None
    lines = [
        f"assert {ENTRY_POINT}({', '.join(map(repr, call['args']))}) == {call['expected']!r}"
        for call in calls
    ]
    reference = None if problem.answer is None else program_of(problem, problem.answer)
    return Suite("\n".join(lines), ENTRY_POINT, "mbpp", reference)
