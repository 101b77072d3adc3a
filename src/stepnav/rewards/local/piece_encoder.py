"""Trajectories as tokens, made piece by piece.

The question and the first step are tokenised together, each further step on its own, and what was
tokenised before is remembered. A family gives the two functions; they refuse a text that would be
read as the family's own marks (`Unreadable`), and the encoder says which step it was.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stepnav.core.errors import BackendError, one_line, quote
from stepnav.core.records import Trajectory, trimmed
from stepnav.engine.checkpoint.loading import special_tokens

MAX_KEPT = 65536

First = Callable[[str, str], "tuple[list[int], int]"]
"""(question, first step) to their tokens, and how many of these are the question's."""

Later = Callable[[str], "list[int]"]
"""A further step to its tokens."""


class Unreadable(ValueError):
    """A text that this reward model cannot be shown; its message completes "step 3 ...".

    Args:
      message: what is wrong with the text.
      is_question: whether it is the question's, not a step's.
    """

    def __init__(self, message: str, *, is_question: bool = False) -> None:
        super().__init__(message)
        self.is_question = is_question


def refused(error: Exception, trajectory: Trajectory, number: int) -> BackendError:
    """Return the error of a trajectory that cannot be shown to the model.

    Args:
      error: what was raised, an `Unreadable` or a tokenizer's or chat template's own.
      trajectory: whose tokens were made.
      number: of the step that was read; the question may be read with the first one.
    """
    question, steps = trajectory.problem.question, trajectory.steps
    code: dict[str, Any] = {"status_code": 400, "code": "unreadable"}
    if not isinstance(error, Unreadable):
        part = f"step {number}" if number > 1 else "the question or the first step"
        said = f"its tokenizer or chat template refuses {part} ({one_line(error)})"
        return BackendError(f"the reward model cannot be asked: {said}", provider="local", **code)
    if error.is_question:
        return BackendError(f"the question {error}: {quote(question)}", provider="local", **code)
    text = quote(trimmed(steps[number - 1].text))  # another solution may be read
    return BackendError(f"step {number} {error}: {text}", provider="local")


class PieceEncoder:
    """Tokenises trajectories piece by piece.

    Args:
      first: tokens of the question and the first step.
      later: tokens of any other step; both get steps without blank lines around them.
    """

    def __init__(self, first: First, later: Later) -> None:
        self._first = first
        self._later = later
        self._firsts: dict[tuple[str, str], tuple[list[int], int]] = {}
        self._laters: dict[str, list[int]] = {}

    def encode(self, trajectory: Trajectory) -> tuple[list[int], tuple[int, ...]]:
        """Return the tokens, and how many there are after the prompt and after each step.

        Raises:
          BackendError: the question or a step cannot be shown to the model; names it.
        """
        if len(self._firsts) + len(self._laters) > MAX_KEPT:
            self._firsts.clear()
            self._laters.clear()
        question = trajectory.problem.question
        steps = trajectory.steps
        number = 1
        try:
            tokens, num_prompt = self._start(question, steps[0].text if steps else "")
            if not steps:
                return tokens[:num_prompt], (num_prompt,)
            ids, totals = list(tokens), [num_prompt, len(tokens)]
            for step in steps[1:]:
                number += 1
                if step.text not in self._laters:
                    self._laters[step.text] = self._later(trimmed(step.text))
                ids += self._laters[step.text]
                totals.append(len(ids))
            return ids, tuple(totals)
        except Exception as error:  # tokenizers and chat templates raise any kind
            raise refused(error, trajectory, number) from None

    def _start(self, question: str, step: str) -> tuple[list[int], int]:
        key = question, step
        if key not in self._firsts:
            self._firsts[key] = self._first(question, trimmed(step))
        return self._firsts[key]


def num_shared(one: list[int], other: list[int]) -> int:
    """Return how many leading tokens are equal."""
    pairs = enumerate(zip(one, other))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def mark_ids(tokenizer: Any) -> frozenset[int]:
    """Return the tokenizer's special tokens, which no text may hold.

    A token that is for unknown text only is none of them: texts may have it.
    """
    names = ("bos_token_id", "eos_token_id", "pad_token_id")
    ends = {getattr(tokenizer, name) for name in names}
    return frozenset((special_tokens(tokenizer) - {tokenizer.unk_token_id} | ends) - {None})


def plain_ids(
    tokenizer: Any, text: str, marks: frozenset[int], *, is_question: bool = False
) -> list[int]:
    """Return the tokens of a question or step that holds no mark.

    Raises:
      Unreadable: it does.
    """
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False)
    refuse_marks(tokenizer, ids, marks, is_question=is_question)
    return ids


def refuse_marks(
    tokenizer: Any, ids: list[int], marks: frozenset[int], *, is_question: bool = False
) -> None:
    """Refuse the tokens of a question or step that holds a mark.

    Raises:
      Unreadable: it does.
    """
    if marks.isdisjoint(ids):
        return
    name = tokenizer.convert_ids_to_tokens(next(token for token in ids if token in marks))
    raise Unreadable(
        f"holds {name!r}, which marks the end of a step or turn for this reward model",
        is_question=is_question,
    )


def require_end(ids: list[int], end: list[int], mark: int) -> None:
    """Refuse a step's tokens unless they end as they must and hold the mark there only.

    Raises:
      Unreadable: the tokenizer has joined the mark with the text, or found another.
    """
    if ids[-len(end) :] != end or ids.count(mark) != end.count(mark):
        raise Unreadable("is tokenised together with the mark at its end, so its score is lost")
