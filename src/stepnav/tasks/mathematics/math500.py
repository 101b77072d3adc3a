r"""MATH-500: competition problems (Hendrycks et al. 2021, arXiv 2103.03874).

The test split are the 500 problems that Lightman et al. 2023 held out (PRM800K, section 4); the
train split are the other 12,000 of MATH, which have the same fields: `problem`, `solution`,
`answer`, `level`, and `subject` or `type`. Solutions end in `\boxed{}`. Graded by the forms of
answers (docs/answers.md), beyond them by math-verify, which may time out: neither right nor wrong.
Two official train rows have an empty answer; such a problem has no reference.
"""

from __future__ import annotations

from pathlib import Path

from stepnav.answers.canonical import spellings
from stepnav.answers.equal import AnswerChecker, shared_checker
from stepnav.answers.extract import as_answer, extract_answer
from stepnav.answers.pool import Equality, lacks_math
from stepnav.core.errors import ConfigError, DataError
from stepnav.core.records import Problem
from stepnav.tasks.benchmark_file import Benchmark, Fields, text_field
from stepnav.tasks.task import Loader, Task
from stepnav.tasks.worked_examples import shipped_examples

PROMPT_TEMPLATE = "Problem:\n{question}\n\nSolution:"
"""For completion models, as in Minerva (Lewkowycz et al. 2022, arXiv 2206.14858, appendix D.2) and
lm-eval's `minerva_math`; worked examples go before it."""

END_STRINGS = ("Problem:",)
"""Where a completion model has gone past its solution; lm-eval 0.4.13, `minerva_math`."""

DEFAULT_SHOTS = 4
"""Minerva's four, all of MATH's training split."""

CHAT_TEMPLATE = (
    "Solve the problem step by step. Write each step on one line of its own. "
    "Put the final answer in \\boxed{}.\n\n{question}"
)
"""For chat models."""


def load(
    split: str = "test", count: int | None = None, seed: int = 0, path: Path | None = None
) -> list[Problem]:
    """Return problems of split "test" (from a file also "train"); see `Benchmark.load`.

    Raises:
      DataError: as `Benchmark.load`; or the file for "train" holds MATH-500, the test set.
    """
    if split == "train" and path is not None:
        rows = BENCHMARK.load(split, path=path)
        if all(p.metadata["unique_id"].startswith("test/") for p in rows):
            raise DataError(
                f"{path} is no train split: all its problems are MATH's test problems, as "
                "MATH-500's "
                "are; give a file of the train split, or say --split test"
            )
    return BENCHMARK.load(split, count, seed, path)


ANSWER_PATTERN = r"\\boxed\{"
"""What ends a solution; `####` is a heading of Markdown here."""

extract = extract_answer


def grade(problem: Problem, text: str | None, *, checker: AnswerChecker | None = None) -> Equality:
    """Return the verdict on a solution's text, or on an answer taken from one.

    Args:
      problem: its `answer` is the reference.
      text: a solution or an answer; None is no answer.
      checker: compares what needs math-verify; None takes the one that all callers share.
    """
    if text is None or problem.answer is None:
        return "different"
    return (checker or shared_checker()).compare(as_answer(text), problem.answer)


def _make(problem_id: str, row: Fields) -> Problem:
    question, answer = text_field(row, "problem"), row["answer"]
    if not isinstance(answer, str):
        raise ValueError(f"field 'answer' must be text (got {answer!r})")
    metadata = {
        "solution": text_field(row, "solution"),
        "subject": str(row["subject"] if "subject" in row else row["type"]),
        "level": str(row["level"]).removeprefix("Level "),
        "unique_id": str(row.get("unique_id", "")),
    }
    return Problem(problem_id, question, answer.strip() or None, metadata)


BENCHMARK = Benchmark("math500", ("train", "test"), ("HuggingFaceH4/MATH-500", None), _make)


def needs_math(name: str, load: Loader) -> Loader:
    """Return a loader that first refuses an install that could not grade what is loaded."""

    def checked(split: str, count: int | None, seed: int, path: Path | None) -> list[Problem]:
        if lacks_math():
            raise ConfigError(
                f"{name} compares answers with mpmath and math-verify: pip install 'stepnav[math]'"
            )
        return load(split, count, seed, path)

    return checked


def make_task(sandbox: str) -> Task:
    """Return the benchmark; nothing in it is run in a sandbox."""
    verdicts = {"equal": True, "different": False, "timeout": None}
    return Task(
        name=BENCHMARK.name,
        splits=BENCHMARK.splits,
        default_split="test",
        prompt_template=PROMPT_TEMPLATE,
        chat_template=CHAT_TEMPLATE,
        answer_pattern=ANSWER_PATTERN,
        load=needs_math(BENCHMARK.name, load),
        extract=extract,
        grade=lambda problem, answer: verdicts[grade(problem, answer)],
        examples=lambda count: shipped_examples("math500", count),
        default_shots=DEFAULT_SHOTS,
        end_strings=END_STRINGS,
        alike=lambda problem: spellings(),
    )
