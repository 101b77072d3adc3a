"""A program that is trusted, with the tests that it passes: what mutants are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Reference:
    """One program with its tests.

    Attributes:
      task_id: names it in the data.
      preamble: what stands before the program in a record's prompt: the task in words.
      source: the program; lines end in one newline character.
      test: MBPP's assert statements, one a line, or a text with a function `check(candidate)`.
      entry_point: the function under test.
      style: "mbpp" or "humaneval", the two kinds of tests that the sandbox judges by.
      setup: statements to run before the asserts.
      examples: calls of the entry point with literal arguments, one a line, besides those in the
        test's text.
      split: "train" or "validation"; a whole problem is in one of them.
    """

    task_id: str
    preamble: str
    source: str
    test: str
    entry_point: str
    style: Literal["mbpp", "humaneval"]
    setup: str = ""
    split: str = "train"
    examples: str = ""
