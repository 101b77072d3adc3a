"""The records that pass between strategies, driver and backends.

All are frozen: a trajectory that a strategy holds never changes under it. Text of the reference
answer stands in `Problem` only, and no backend that proposes is shown it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Rating = Literal[-1, 0, 1]
"""PRM800K's classes: negative, neutral, positive (Lightman et al. 2023, section 2.4)."""

Finish = Literal["step", "end", "length", "budget"]
"""Why a text ended.

step: at the step boundary; end: with the whole solution; length: cut at a token limit; budget: cut
because the search's budget paid for no more tokens. The driver alone says "budget".
"""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Problem:
    """One task to solve.

    Attributes:
      id: unique within its task and stable between runs, for instance "gsm8k-test-17".
      question: the text that the policy sees, before any prompt template.
      answer: reference answer in the task's canonical form; None where there is none.
      metadata: what the task's grader needs besides; JSON values only.
      context: the turns of a conversation before the question; shown to policies that are chatted
        with.
    """

    id: str
    question: str
    answer: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    context: tuple[Message, ...] = ()

    def __post_init__(self) -> None:
        for name in ("id", "question"):
            if not isinstance(value := getattr(self, name), str):
                raise TypeError(f"a problem's {name} must be text (got {value!r:.80})")
        if not isinstance(self.answer, (str, type(None))):
            raise TypeError(f"a problem's answer must be text or None (got {self.answer!r:.80})")


def trimmed(text: str) -> str:
    r"""Return a step without blank lines before it and white space after it, its indentation kept.

    Example:
      >>> trimmed("\n\n    return x\n")
      '    return x'
    """
    num_blank = len(text) - len(text.lstrip())
    return text[text.rfind("\n", 0, num_blank) + 1 :].rstrip()


Told = tuple[str, float]
"""A token's text ("" where tokens are gone on from), and its log-probability at temperature 1."""


@dataclass(frozen=True, slots=True)
class Draw:
    """How a step was drawn, token by token: what drawing others without replacement needs.

    Probabilities are those of the policy at the sampling's temperature and top_p, as if nothing had
    been excluded.

    Attributes:
      tokens: all that were drawn, a stop token included.
      logprobs: of each, its log-probability after the ones before.
      rests: at each place, the log of the probability of all tokens that neither this draw nor one
        before it took there; -inf if none is left. Kept, because 1 minus what was taken is only
        rounding where a step is nearly certain.
      told: of each token, of a policy that begins later draws with known ones; None of others.
    """

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    rests: tuple[float, ...]
    told: tuple[Told, ...] | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """The smallest unit that is proposed and scored.

    Attributes:
      text: the step's text, its separator included where the policy wrote one.
      finish: why it ended; only "end" finishes a solution.
      num_tokens: policy tokens that it cost, stop tokens included; 0 for a step nobody generated.
      token_ids: the policy's own tokens of `text`, if the policy tells them; lets a child reuse
        its parent's cache although text alone may be tokenised in several ways.
      logprob: sum of the tokens' log-probabilities under the policy at temperature 1, if known.
      draw: how it was drawn, of a policy that can draw without replacement and was asked to.
    """

    text: str
    finish: Finish = "step"
    num_tokens: int = 0
    token_ids: tuple[int, ...] | None = None
    logprob: float | None = None
    draw: Draw | None = None

    @property
    def key(self) -> str:
        """The text by which two siblings are the same, indentation kept: code needs it."""
        return trimmed(self.text)

    @property
    def way(self) -> Any:
        """What tells two draws apart of which each has a probability: tokens, else the text."""
        tokens = self.draw.tokens if self.draw else self.token_ids
        return self.finish, self.text if tokens is None else tokens

    @property
    def is_cut(self) -> bool:
        """Whether it was cut in the middle; such a step is neither rated nor continued."""
        return self.finish in ("length", "budget")


@dataclass(frozen=True, slots=True)
class Reply:
    """Free text that a model answered to a conversation.

    Attributes:
      text: what it wrote.
      finish: "end", or why it was cut.
      num_tokens, logprob: as in `Step`.
    """

    text: str
    finish: Finish = "end"
    num_tokens: int = 0
    logprob: float | None = None


@dataclass(frozen=True, slots=True)
class Trajectory:
    """An ordered list of steps for one problem; a prefix when it is not finished."""

    problem: Problem
    steps: tuple[Step, ...] = ()

    @property
    def text(self) -> str:
        """The steps' text joined, without the question."""
        return "".join(step.text for step in self.steps)

    @property
    def finish(self) -> Finish | None:
        """Why the last step ended; None where there is no step."""
        return self.steps[-1].finish if self.steps else None

    @property
    def is_finished(self) -> bool:
        """Whether the last step ended the solution."""
        return self.finish == "end"

    def extend(self, *steps: Step) -> Trajectory:
        """Return the trajectory with further steps at its end."""
        return Trajectory(self.problem, self.steps + steps)


@dataclass(frozen=True, slots=True)
class StepScore:
    """A reward model's belief about one step, given the problem and the steps before it.

    Attributes:
      negative_prob, neutral_prob, positive_prob: probabilities of the ratings -1, 0 and +1, in
        [0, 1], summing to 1; `neutral_prob` is 0 for binary models.
    """

    negative_prob: float
    neutral_prob: float
    positive_prob: float

    def __post_init__(self) -> None:
        probs = self.negative_prob, self.neutral_prob, self.positive_prob
        total = sum(probs)
        if not (0.999 < total < 1.001):  # also catches NaN
            raise ValueError(f"step probabilities must sum to 1 (got {total}: {self!r})")
        if min(probs) < -0.001:  # 1 - .9 - .1 is a little less than 0
            raise ValueError(f"step probabilities must not be negative (got {self!r})")

    @property
    def rating(self) -> Rating:
        """The likeliest rating; on a tie the lower one, so that doubt rejects."""
        best = max(self.negative_prob, self.neutral_prob, self.positive_prob)
        if self.negative_prob == best:
            return -1
        return 0 if self.neutral_prob == best else 1

    @property
    def value(self) -> float:
        """P(step is not wrong): neutral counts as right, as in Lightman et al. 2023, appendix F."""
        return self.positive_prob + self.neutral_prob

    @classmethod
    def from_rating(cls, rating: Rating) -> StepScore:
        """Return the score that is sure of `rating`."""
        return cls(float(rating == -1), float(rating == 0), float(rating == 1))
