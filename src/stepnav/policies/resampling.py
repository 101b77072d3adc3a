"""Drawing without replacement where a policy cannot exclude what was drawn: by drawing again.

What is new among repeated draws is distributed as an exact draw from what is left is. But each
repetition costs, so there are few, and they share the token limit of the sample that they replace;
where all give known texts, the sample is left out.
"""

from __future__ import annotations

from stepnav.core.records import Step
from stepnav.core.requests import Ask, PolicyRequest

MAX_DRAWS = 8
"""How often one sample is drawn at most. Ours: what is left of a tenth is found in 57% of cases."""


class Known:
    """The steps that a request must not draw again; grows by what it draws.

    A step whose tokens are told is another one if its tokens differ, as in our own engine; of
    others the text tells.

    Args:
      request: whose first new steps are looked at.
    """

    def __init__(self, request: PolicyRequest) -> None:
        steps = None if isinstance(request, Ask) else request.sampling.without
        self.is_independent = steps is None
        self._tokens: set[tuple[int, ...]] = set()
        self._texts: dict[tuple[str, bool], bool] = {}  # whether its tokens are told
        for step in steps or ():
            self.add(step)
        self.max_draws = 1
        if steps is not None and request.sampling.temperature:
            self.max_draws = min(MAX_DRAWS, request.sampling.max_draws or MAX_DRAWS)

    def holds(self, step: Step) -> bool:
        """Return whether a step is known."""
        if step.draw is None:
            return _text(step) in self._texts
        return step.draw.tokens in self._tokens or self._texts.get(_text(step)) is False

    def add(self, step: Step) -> None:
        """Remember a step."""
        text, is_told = _text(step), step.draw is not None
        self._texts[text] = is_told and self._texts.get(text, True)
        if step.draw is not None:
            self._tokens.add(step.draw.tokens)

    def takes(self, step: Step, again: int) -> bool:
        """Return whether a drawn step may stand; remember it if so.

        Args:
          step: what was drawn.
          again: how often it was drawn before; what cuts a repetition may be what its forerunners
            cost, and it is no answer then.
        """
        is_taken = self.is_independent or not (self.holds(step) or (again and step.is_cut))
        if is_taken:
            self.add(step)
        return is_taken


def _text(step: Step) -> tuple[str, bool]:
    return step.key, step.is_cut
