"""Reads steps and solutions out of what a server gave.

A step is always cut exactly at its boundary, whatever the server did with the stop string.
"""

from __future__ import annotations

from stepnav.core.records import Finish, Step, Trajectory
from stepnav.core.thoughts import answer_part, split_thinking
from stepnav.policies.openai.capabilities import Capabilities
from stepnav.policies.openai.prompts import PromptOptions, is_stop_usable, without_repeats
from stepnav.policies.openai.protocol import Choice
from stepnav.policies.splitting import (
    THOUGHT_SEPARATOR,
    cut_at_first,
    share_out,
    split_solution,
    split_steps,
    step_end,
)


def read_step(
    options: PromptOptions, found: Capabilities, prefix: Trajectory, written: str, choice: Choice
) -> tuple[str, Finish]:
    """Return a step's text and why it ended.

    Args:
      options: how steps and answers look.
      found: what the server honours.
      prefix: the steps before.
      written: what earlier choices wrote of the step.
      choice: what the server gave now.
    """

    def holds_answer(step: str) -> bool:
        """Return whether the step ends the solution, which no guess in a thought does."""
        return options.holds_answer(answer_part(step, prefix.text))

    reply = without_repeats(options, found, prefix, choice.text)
    text, is_past_end = cut_at_first(written + reply, options.end_strings)
    end = step_end(text, options.separator)
    if end is not None:
        is_last = holds_answer(text[:end])
        return text[:end], "end" if is_last else "step"
    if is_past_end:
        return text, "end"
    if choice.finish == "length":
        return text, "length"
    if not _is_stop_removed(found, prefix) or choice.stopped_at in options.end_strings:
        is_blank_line = not text.strip() and options.separator in reply
        return text, "step" if is_blank_line else "end"
    if choice.stopped_at == options.separator:
        is_last = holds_answer(text)
        return text + options.separator, "end" if is_last else "step"
    if found.names_stop:
        return text, "end"
    if holds_answer(text):
        return text, "end"
    is_after_end = not text.strip() and options.holds_answer(answer_part(prefix.text))
    return ("", "end") if is_after_end else (text + options.separator, "step")


def _is_stop_removed(found: Capabilities, prefix: Trajectory) -> bool:
    return (
        is_stop_usable(found, prefix) and found.stop == "removed" and found.keep_stop_field is None
    )


def read_solution(
    options: PromptOptions,
    found: Capabilities,
    prefix: Trajectory,
    choice: Choice,
    num_tokens: int,
) -> Trajectory:
    """Return the prefix with a choice's steps, up to the step that ends the solution.

    Args:
      options, found, prefix, choice: as in `read_step`.
      num_tokens: what the choice cost; its steps share it by their lengths.
    """
    reply = without_repeats(options, found, prefix, choice.text)
    text, is_past_end = cut_at_first(reply, options.end_strings)
    pieces = split_solution(text, options.separator, prefix.text) or [text]
    num_thoughts = len(split_steps(split_thinking(text, prefix.text)[0], THOUGHT_SEPARATOR))
    finish: Finish = "length" if choice.finish == "length" and not is_past_end else "end"
    for index, piece in enumerate(pieces):
        is_thought = index < num_thoughts  # a guess in the middle of it ends nothing
        if not is_thought and options.holds_answer(piece) and piece.endswith(options.separator):
            pieces, finish = pieces[: index + 1], "end"
            break
    costs = share_out(num_tokens, [len(piece) for piece in pieces])
    last = len(pieces) - 1
    steps = [
        Step(piece, finish if index == last else "step", cost)
        for index, (piece, cost) in enumerate(zip(pieces, costs))
    ]
    return prefix.extend(*steps)


def text_logprob(choice: Choice, step: str) -> float | None:
    """Return the log-probability of the tokens that begin within the step; None if unknown."""
    if choice.tokens is None or not choice.text.startswith(step[: len(choice.text)]):
        return None
    total, position = 0.0, 0
    for token, value in choice.tokens:
        if position >= len(step):
            break
        total += value
        position += len(token)
    return total
