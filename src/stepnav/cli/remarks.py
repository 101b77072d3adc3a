"""What is not wrong but should be known: too few problems, repeated ones, cut steps."""

from __future__ import annotations

from collections.abc import Sequence

from stepnav.cli.console import note
from stepnav.core.errors import BackendError, DataError
from stepnav.core.outcome import SearchResult
from stepnav.core.records import Problem
from stepnav.core.tree import NO_PARENT


def tell_problems(problems: Sequence[Problem], wanted: int | None, source: str) -> None:
    """Say if there are fewer problems than asked for, and if one stands there twice.

    Args:
      problems: what was drawn.
      wanted: how many were asked for; None is all.
      source: where they come from.
    """
    if wanted is not None and len(problems) < wanted:
        note(
            f"{source} has {len(problems)} problems, fewer than --problems {wanted}: all are taken"
        )
    first: dict[str, str] = {}
    repeats = [
        (problem.id, first[problem.question])
        for problem in problems
        if first.setdefault(problem.question, problem.id) != problem.id
    ]
    if repeats:
        again, before = repeats[0]
        note(
            f"{len(repeats)} of {len(problems)} problems have the text of an earlier one (the "
            f"first: {again} is {before} again); each counts by itself, so that intervals "
            "are too narrow"
        )


def tell_cut(num_cut: int, num_searches: int) -> None:
    """Say in how many searches a step was cut at its token limit."""
    if num_cut:
        note(
            f"in {num_cut} of {num_searches} searches a step was cut at a token limit; see "
            "max_step_tokens and max_tokens of the strategy, and, with a server, "
            "--max-step-tokens and --max-solution-tokens"
        )


def is_cut(result: SearchResult) -> bool:
    """Return whether a step was cut at its token limit, in a budget that was not spent."""
    steps = (node.step for node in result.tree.nodes if node.parent != NO_PARENT)
    return result.outcome.stop_reason != "budget" and any(s.finish == "length" for s in steps)


def tell_failed(errors: Sequence[str], total: int, again: str, noun: str = "searches") -> None:
    """Say that searches failed and why the first one did; with nothing but failures, stop.

    Args:
      errors: of the failed ones.
      total: how many there are of all.
      again: what tries them again.
      noun: what they are called.
    Raises:
      BackendError: every search failed.
    """
    if errors:
        text = f"{len(errors)} of {total} {noun} failed (the first: {errors[0]}); {again}"
        if len(errors) == total:
            raise BackendError(text)
        note(text)


def tell_unscored(errors: Sequence[str], total: int) -> None:
    """Say that solutions could not be scored and why the first one could not.

    Raises:
      DataError: none could be.
    """
    if errors and len(errors) == total:
        raise DataError(f"no solution could be scored; the first: {errors[0]}")
    if errors:
        note(
            f"{len(errors)} of {total} solutions could not be scored and are in no figure; the "
            f"first: {errors[0]}"
        )
