"""The end of a search in a few lines: the answer, why it stopped, what it counted, what it cost."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.text import Text

from stepnav.core.budget import Usage
from stepnav.core.outcome import SearchResult
from stepnav.view.clean import clean_block
from stepnav.view.lines import Canvas
from stepnav.view.terminal import print_line

STOP_TEXTS: Mapping[str, str] = {
    "accepted": "the reward model accepted a finished solution",
    "finished": "the strategy did all that it set out to do",
    "exhausted": "no step is left to go on from",
    "iterations": "its own limit on tries is reached",
    "length": "its own limit on steps or tokens is reached",
    "budget": "the budget is spent",
    "failed": "it failed",
}
MAX_VOTES = 6
"""Answers shown of a vote."""


def print_verdict(
    console: Console,
    result: SearchResult,
    *,
    is_correct: bool | None = None,
    reference: str | None = None,
    doubt: str | None = None,
) -> None:
    """Print answer, vote, stop reason and cost of a finished search.

    Args:
      console: where to print.
      result: the search.
      is_correct: the grade, None if there is none.
      reference: the right answer, shown where the search's is wrong.
      doubt: why the answer should not be trusted, if anything speaks against it.
    """
    canvas = Canvas.of(console)
    if result.answer is not None and "\n" in result.answer.strip():
        lines = program_lines(canvas, result.answer, is_correct=is_correct, reference=reference)
    else:
        lines = [answer_line(canvas, result, is_correct=is_correct, reference=reference)]
    if doubt is not None:
        lines.append(_titled("Doubtful").append(doubt, "yellow"))
    if result.outcome.right_prob is not None:
        lines.append(_titled("P(right)").append(f"{result.outcome.right_prob:.0%}"))
    if result.outcome.votes:
        lines.append(votes_line(canvas, result.outcome.votes))
    for line in [*lines, stop_line(canvas, result), cost_line(result.usage, result.requests)]:
        print_line(console, line)


def answer_line(
    canvas: Canvas,
    result: SearchResult,
    *,
    is_correct: bool | None = None,
    reference: str | None = None,
) -> Text:
    """Return the answer, and whether it is right where that is known."""
    line = _titled("Answer")
    if result.answer is None:
        line.append("none found", "bold red")
    else:
        style = {True: "bold green", False: "bold red", None: "bold"}[is_correct]
        line.append(canvas.show(result.answer), style)
    if is_correct is not None:
        line.append("  right" if is_correct else "  wrong", "green" if is_correct else "red")
    if is_correct is False and reference is not None:
        line.append(f", it is {canvas.show(reference)}", "dim")
    return line


def program_lines(
    canvas: Canvas, answer: str, *, is_correct: bool | None = None, reference: str | None = None
) -> list[Text]:
    """Return an answer that is a program, line by line, and the reference where it is wrong."""
    line = _titled("Answer")
    if is_correct is None:
        line.append("a program", "bold")
    else:
        style, word = ("green", "right") if is_correct else ("red", "wrong")
        line.append(
            f"{word}: a program that {'passes its tests' if is_correct else 'fails'}", style
        )
    lines = [line, *_block(canvas, answer, "")]
    if is_correct is False and reference is not None:
        lines += [Text(" " * 10 + "a right one:", "dim"), *_block(canvas, reference, "dim")]
    return lines


def votes_line(canvas: Canvas, votes: Mapping[str, float]) -> Text:
    """Return the answers that were voted for, heaviest first."""
    shown = [
        f"{canvas.cut(canvas.show(answer), 40)} ({weight:.3g})"
        for answer, weight in list(votes.items())[:MAX_VOTES]
    ]
    rest = len(votes) - len(shown)
    line = _titled("Votes")
    line.append(", ".join(shown) + (f" and {rest} more" if rest > 0 else ""))
    return line


def stop_line(canvas: Canvas, result: SearchResult) -> Text:
    """Return why the search stopped, and its counters that are not zero."""
    line = _titled("Stopped")
    line.append(STOP_TEXTS.get(result.outcome.stop_reason, result.outcome.stop_reason))
    if result.error is not None:
        line.append(f": {canvas.show(result.error)}", "red")
    counts = [
        f"{count:,} {name.removesuffix('s') if count == 1 else name}"
        for name, count in result.outcome.counts.items()
        if count
    ]
    if counts:
        line.append(f" {canvas.glyphs.dot} {', '.join(counts)}", "dim")
    return line


def cost_line(usage: Usage, requests: int) -> Text:
    """Return what a search cost."""
    line = _titled("Cost")
    parts = [f"{usage.policy_tokens:,} policy tokens in {_calls(usage.policy_calls)}"]
    if usage.reward_calls:
        parts.append(f"{usage.reward_tokens:,} reward tokens in {_calls(usage.reward_calls)}")
    parts.append(f"{requests:,} request{'s' * (requests != 1)}")
    if usage.failed_tokens:
        parts.append(f"{usage.failed_tokens:,} tokens lost")
    if usage.flops:
        parts.append(_flops(usage.flops))
    parts.append(f"{usage.seconds:.2f} s")
    line.append(", ".join(parts))
    return line


def _block(canvas: Canvas, text: str, style: str) -> list[Text]:
    """Return the lines of a program with their indentation."""
    lines = clean_block(text).strip("\n").split("\n")
    return [
        Text(canvas.cut(" " * 10 + canvas.show_code(line), canvas.width), style) for line in lines
    ]


def _titled(title: str) -> Text:
    """Return the beginning of a line."""
    return Text.assemble((f" {title:<8} ", "bold"))


def _calls(count: int) -> str:
    return f"{count:,} call{'s' * (count != 1)}"


def _flops(flops: float) -> str:
    """Return floating-point operations with a unit prefix."""
    for unit in ("", "k", "M", "G", "T", "P"):
        if flops < 999.5:
            return f"{flops:.3g} {unit}FLOP"
        flops /= 1000
    return f"{flops:.3g} EFLOP"
