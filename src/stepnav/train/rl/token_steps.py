"""Where the steps of a sampled solution end in its tokens."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from stepnav.core.records import Finish, Problem, Step, Trajectory
from stepnav.policies.local.prompt import StepCutter


@dataclass(frozen=True, slots=True)
class TokenStep:
    """A step of a sampled solution.

    Attributes:
      text: without the token that ends the solution.
      end: the number of its last token.
      finish: why it ended; "length" where the solution was cut in it, or after it.
    """

    text: str
    end: int
    finish: Finish


def token_steps(
    ids: Sequence[int], cutter: StepCutter, end_tokens: Collection[int]
) -> list[TokenStep]:
    """Return the steps of a solution, at least one: they end where a search would end them.

    Blank text behind the last step belongs to it.

    Args:
      ids: at least one token; one of `end_tokens` is the last, unless the solution was cut.
      cutter: finds the ends of steps.
      end_tokens: what ends a solution.
    """
    is_ended = ids[-1] in end_tokens
    body = ids[:-1] if is_ended else ids
    cuts: list[tuple[int, int]] = []
    start = 0
    for place, token in enumerate(body):
        if cutter.may_end(token):
            text = cutter.text(body[:start], body[start : place + 1])
            if cutter.is_end(text):
                cuts.append((start, place))
                start = place + 1
    rest = cutter.text(body[:start], body[start:])
    if rest.strip() or not cuts:
        cuts.append((start, len(ids) - 1))
    else:
        cuts[-1] = cuts[-1][0], len(ids) - 1
    last: Finish = "end" if is_ended else "length"
    return [
        TokenStep(
            cutter.text(body[:begin], body[begin : end + 1]),
            end,
            last if number == len(cuts) else "step",
        )
        for number, (begin, end) in enumerate(cuts, 1)
    ]


def as_trajectory(problem: Problem, steps: Sequence[TokenStep]) -> Trajectory:
    """Return the solution as searches and graders know it."""
    return Trajectory(problem, tuple(Step(step.text, step.finish) for step in steps))
