"""Outcome reward models: a sequence classifier that judges the whole text so far.

One output is a reward whose sigmoid is taken (Bradley and Terry 1952: the odds against a text of
reward 0); of two, the class names tell which is right. The text is a user's and an assistant's turn
by the tokenizer's chat template, or the question, a new line and the steps. Every prefix is a text
of its own, so a step's score is that of the solution up to it; rank whole solutions with
aggregation "last".
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from stepnav.core.errors import ConfigError
from stepnav.core.records import Trajectory, trimmed
from stepnav.engine.row import Row
from stepnav.rewards.families.label_names import class_ratings
from stepnav.rewards.local.chat_text import render
from stepnav.rewards.local.family import EngineLimits, Family, read_by_token
from stepnav.rewards.local.piece_encoder import mark_ids, num_shared, plain_ids, refused
from stepnav.rewards.local.step_reader import (
    ClassProbs,
    Encoder,
    Read,
    Reading,
    StepReader,
    ValueProbs,
)

MAX_KEPT = 65536


LOADER = "transformers:AutoModelForSequenceClassification"


def _reader(model: Any, tokenizer: Any, format: None) -> StepReader:  # noqa: A002
    config = model.config
    ratings = class_ratings(config, "rename the classes in config.json (id2label): wrong, right")
    if config.problem_type == "multi_label_classification":
        raise ConfigError("the model's outputs are no classes of which one is right")
    read: Read = ClassProbs(ratings) if ratings else ValueProbs()
    pad = config.get_text_config().pad_token_id
    return _PrefixReader(_PrefixEncoder(tokenizer, shares=_shares(model)), read, pad)


def _runner(model: Any, limits: EngineLimits) -> Any:
    """Return what runs the model: the engine for decoders with a linear head, else whole texts."""
    from stepnav.rewards.families.headed_models import PerToken

    if _shares(model):
        return read_by_token(PerToken(model), limits)
    from stepnav.rewards.families.plain_runner import PlainRunner

    return PlainRunner(
        model, max_batch=limits.get("max_batch", 64), pass_tokens=limits["pass_tokens"]
    )


def _shares(model: Any) -> bool:
    """Return whether the engine can run it, which reads only once what prefixes have in common."""
    has_layers = hasattr(model.base_model, "layers") or hasattr(model.base_model, "h")
    return has_layers and hasattr(model, "score")


class _PrefixReader(StepReader):
    """Reads every prefix in a row of its own, at the last token that is no padding token.

    What is charged for a prefix is what it adds: its new tokens, and those of the text after it (a
    turn's end), which are read again for each prefix.

    Args:
      encoder: tells how many tokens there are before the last step of a trajectory and after it.
      read: makes probabilities of outputs.
      pad: the padding token, which transformers never reads at; None for none.
    """

    def __init__(self, encoder: Encoder, read: Read, pad: int | None) -> None:
        super().__init__(encoder, read)
        self._pad = pad

    def reading(self, trajectory: Trajectory) -> Reading:
        """Return one row per step."""
        problem, steps = trajectory.problem, trajectory.steps
        if not steps:
            totals = self.encoder.encode(trajectory)[1]
            return Reading((), totals, totals)
        prefixes = [Trajectory(problem, steps[:depth]) for depth in range(1, len(steps) + 1)]
        found = [self.encoder.encode(prefix) for prefix in prefixes]
        start = found[0][1][0]
        new = [end - shared for _, (shared, end) in found]
        totals = tuple(accumulate(new, initial=start))
        rows = tuple(Row(tokens, (self._last(tokens),)) for tokens, _ in found)
        return Reading(rows, totals, (start, *(len(tokens) for tokens, _ in found)))

    def _last(self, tokens: Sequence[int]) -> int:
        positions = range(len(tokens) - 1, -1, -1)
        return next((at for at in positions if tokens[at] != self._pad), 0)


class _PrefixEncoder:
    """Makes the tokens of a whole trajectory.

    Args:
      tokenizer: the model's.
      shares: whether what prefixes have in common is read only once.
    """

    def __init__(self, tokenizer: Any, *, shares: bool) -> None:
        self._tokenizer = tokenizer
        self._shares = shares
        self._marks = mark_ids(tokenizer)
        self._known: dict[str, list[int]] = {}

    def encode(self, trajectory: Trajectory) -> tuple[list[int], tuple[int, ...]]:
        """Return the tokens, and how many there are before the last step and after it.

        Where nothing is shared, all of them are the last step's.
        """
        question = trajectory.problem.question
        steps = [trimmed(step.text) for step in trajectory.steps]
        if len(self._known) > MAX_KEPT:
            self._known.clear()
        try:
            plain_ids(self._tokenizer, question, self._marks, is_question=True)
            if steps:
                plain_ids(self._tokenizer, steps[-1], self._marks)
            ids = self._ids(question, steps)
            if not steps:
                return ids, (len(ids),)
            if not self._shares:
                return ids, (0, len(ids))
            return ids, (num_shared(self._ids(question, steps[:-1]), ids), len(ids))
        except Exception as error:  # tokenizers and chat templates raise any kind
            raise refused(error, trajectory, len(steps)) from None

    def _ids(self, question: str, steps: Sequence[str]) -> list[int]:
        text = "\n".join(steps)
        key = f"{question}\0{text}"
        if key not in self._known:
            self._known[key] = self._encode(question, text)
        return self._known[key]

    def _encode(self, question: str, text: str) -> list[int]:
        if self._tokenizer.chat_template:
            shown = render(self._tokenizer, [("user", question), ("assistant", text)])
            ids: list[int] = self._tokenizer.encode(shown, add_special_tokens=False)
            return ids
        whole: list[int] = self._tokenizer.encode(f"{question}\n{text}")
        return whole


ORM = Family("sequence classification model", LOADER, _reader, runner=_runner, served="texts")
