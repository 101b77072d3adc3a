r"""Cutting text into steps at a separator.

A step ends with the first separator after its first visible character, so leading blank lines
belong to the step that follows them and no step is blank. Joining the steps gives the text again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from stepnav.core.errors import ConfigError
from stepnav.core.thoughts import split_thinking

PART = "\ufffd"
"""What part of a character is shown as, whose bytes are several tokens."""

ANSWER_PATTERN = r"####|\\boxed\{"
"""How solutions to grade-school and to competition problems usually end."""

THOUGHT_SEPARATOR = "\n\n"
"""Ends a step of a thought, in which single lines are mere parts of a thought."""


def step_end(text: str, separator: str, start: int = 0) -> int | None:
    r"""Return where the step that begins at `start` ends, separator included; None if it does not.

    Example:
      >>> step_end("\n\nOne.\nTwo.", "\n")
      7
    """
    visible = start
    while visible < len(text) and text[visible].isspace():
        visible += 1
    if visible == len(text):
        return None
    found = text.find(separator, visible)
    return None if found < 0 else found + len(separator)


def split_steps(text: str, separator: str) -> list[str]:
    r"""Return the steps of a text; the last one lacks the separator where the text does.

    Blank text after the last step belongs to it. Blank text alone gives no steps.

    Args:
      text: a whole solution or the rest of one.
      separator: what ends a step; not empty.
    Raises:
      ValueError: the separator is empty.
    Example:
      >>> split_steps("One.\n\nTwo.\n#### 2", "\n")
      ['One.\n', '\nTwo.\n', '#### 2']
    """
    if not separator:
        raise ValueError("the step separator must not be empty")
    steps: list[str] = []
    start = 0
    while (end := step_end(text, separator, start)) is not None:
        steps.append(text[start:end])
        start = end
    rest = text[start:]
    if rest.strip():
        steps.append(rest)
    elif rest and steps:
        steps[-1] += rest
    return steps


def split_solution(text: str, separator: str, before: str = "") -> list[str]:
    """Return the steps of a solution; what a model thought is split at blank lines.

    Args:
      text: the whole solution, or the rest of it.
      separator: what ends a step of the answer.
      before: the text before the rest.
    """
    thought, answer = split_thinking(text, before)
    return split_steps(thought, THOUGHT_SEPARATOR) + split_steps(answer, separator)


def cut_at_first(text: str, strings: Sequence[str]) -> tuple[str, bool]:
    """Return the text before the first of the strings in it, and whether one was there.

    Example:
      >>> cut_at_first("7 Question: 8", ["Question:"])
      ('7 ', True)
    """
    found = [position for string in strings if (position := text.find(string)) >= 0]
    return (text[: min(found)], True) if found else (text, False)


def check_pattern(pattern: str | None) -> None:
    """Refuse an answer pattern that is none.

    Raises:
      ConfigError: it is no regular expression.
    """
    try:
        re.compile(pattern or "")
    except re.error as error:
        raise ConfigError(
            f"answer_pattern is no regular expression ({error}; got {pattern!r})"
        ) from None


def fill(template: str, question: str) -> str:
    r"""Return a template with the question in the place of "{question}".

    A template that is the question alone shows it without blank text around it, as the field's
    harnesses send HumanEval's prompts (`strip_prompt` in bigcode-evaluation-harness): after a line
    break of its own a model begins in the first column, where no function's body is.

    Example:
      >>> fill("{question}", "def f(x):\n"), fill("{question}\n", "1 + 1?")
      ('def f(x):', '1 + 1?\n')
    """
    if template == "{question}":
        return question.strip()
    return template.replace("{question}", question)


def share_out(total: int, weights: Sequence[int]) -> list[int]:
    """Return whole shares of `total` in proportion to the weights, summing to it exactly.

    Largest remainders get the units left over; without any weight the first share takes all.

    Example:
      >>> share_out(10, [1, 1, 1])
      [4, 3, 3]
    """
    if not weights:
        return []
    whole = sum(weights)
    if whole <= 0:
        return [total] + [0] * (len(weights) - 1)
    shares = [total * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: -(total * weights[i] % whole))
    for index in by_remainder[: total - sum(shares)]:
        shares[index] += 1
    return shares
