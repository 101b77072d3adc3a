"""What a benchmark offers to the rest of the package."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from stepnav.core.records import Problem, Rating
from stepnav.core.thoughts import answer_part

Example = tuple[str, str]
"""A worked example: its question, and what follows the prompt that shows it."""

Loader = Callable[[str, "int | None", int, "Path | None"], "list[Problem]"]
Grade = Callable[[Problem, "str | None"], "bool | None"]
RateSteps = Callable[[Problem, Sequence[str]], "list[Rating]"]


@dataclass(frozen=True, slots=True)
class CodeChecks:
    """What a code task knows of programs besides their grade, for the execution reward.

    Attributes:
      parses_so_far: (problem, text of a solution so far) to whether its syntax can still become
        right.
      passes_public: (problem, text of a finished solution) to whether it passes the public tests;
        None where there are none. Runs the program in the sandbox.
      module: what knows the programs' form, see `tasks/programs/code_task.py`.
    """

    parses_so_far: Callable[[Problem, str], bool]
    passes_public: Callable[[Problem, str], bool | None]
    module: ModuleType


@dataclass(frozen=True, slots=True)
class _BehindThought:
    """Finds answers in what stands behind a thought: no guess in it is one."""

    extract: Callable[[str], str | None]

    def __call__(self, text: str) -> str | None:
        return self.extract(answer_part(text))


@dataclass(frozen=True, slots=True)
class Task:
    """One benchmark.

    Attributes:
      name: its name on the command line.
      splits: its splits.
      default_split: the one that is meant where none is named; never one to train on.
      prompt_template: how a completion model is shown the question; holds "{question}".
      chat_template: how a chat model is shown it; None uses `prompt_template`.
      answer_pattern: regular expression that is found in the step that ends a solution, for
        policies that do not end by themselves; None leaves it to them.
      load: (split, count, seed, path) to problems; a count of None takes all there are.
      extract: a solution's text to its final answer in canonical form, None if it has none; of a
        thinking model's it is given what stands behind the thought.
      grade: (problem, answer) to whether it is right; None if that could not be decided.
      rate_steps: (problem, step texts) to exact ratings, for the oracle reward; None where no
        exact checker exists.
      chat_answer_pattern: the same as `answer_pattern` for chat models; None takes that one.
      ask: the user's own question to a problem without an answer; None takes it as one line of
        text.
      temperature: of draws that are not greedy, where the user sets none; None leaves each strategy
        its own.
      code: what a code task knows besides; None for other tasks.
      examples: so many worked examples at most, from a training split, always the same; None where
        there are none.
      default_shots: how many of them the field shows a completion model.
      end_strings: text after which a completion model has gone past its solution.
      problem: makes a problem of its id, of a task that makes its own, with ids of the form
        NAME-SPLIT-SEED-INDEX; None where problems are read.
      alike: a problem to what maps each answer to the first one that counts as the same, for votes;
        None where answers are the same as they are written.
    """

    name: str
    splits: tuple[str, ...]
    default_split: str
    prompt_template: str
    chat_template: str | None
    answer_pattern: str | None
    load: Loader
    extract: Callable[[str], str | None]
    grade: Grade
    rate_steps: RateSteps | None = None
    chat_answer_pattern: str | None = None
    ask: Callable[[str], Problem] | None = None
    temperature: float | None = None
    code: CodeChecks | None = None
    examples: Callable[[int], Sequence[Example]] | None = None
    default_shots: int = 0
    end_strings: tuple[str, ...] = ()
    problem: Callable[[str], Problem] | None = None
    alike: Callable[[Problem], Callable[[str], str]] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.extract, _BehindThought):
            object.__setattr__(self, "extract", _BehindThought(self.extract))

    def extractor(self, problem: Problem) -> Callable[[str], str | None]:
        """Return what finds a solution's answer during one search for a problem."""
        if self.alike is None:
            return self.extract
        first_like = self.alike(problem)

        def extract(text: str) -> str | None:
            answer = self.extract(text)
            return None if answer is None else first_like(answer)

        return extract
