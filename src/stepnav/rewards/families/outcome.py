"""Outcome reward models: a sequence classifier that judges the whole text so far.

One output is a reward whose sigmoid is taken (Bradley and Terry 1952: the odds against a text of
reward 0); of two, the class names tell which is right. The text is a user's and an assistant's turn
by the tokenizer's chat template, or the question, a new line and the steps. Every prefix is a text
of its own, so a step's score is that of the solution up to it; rank whole solutions with
aggregation "last".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from stepnav.core.errors import BackendError, ConfigError, quote
from stepnav.core.records import StepScore, Trajectory, trimmed
from stepnav.engine.loading import context_length, load_with, num_parameters
from stepnav.engine.row import Row
from stepnav.rewards.families.label_names import class_ratings
from stepnav.rewards.local.by_prefix import ByPrefix
from stepnav.rewards.local.chat_text import render
from stepnav.rewards.local.piece_encoder import Unreadable, mark_ids, num_shared, plain_ids
from stepnav.rewards.local.queue import ScoreQueue
from stepnav.rewards.local.reward import load_pair
from stepnav.rewards.local.step_reader import Read, class_probs, step_scores, value_probs

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from stepnav.rewards.local.reward import EngineLimits

MAX_KEPT = 65536


class OutcomeReward(ByPrefix):
    """Scores the solution up to each step with a sequence classifier in this process.

    Decoders run over the engine and share what prefixes have in common; encoders read every prefix
    whole (`engine/plain.py`).

    Args:
      model: a folder, a hub name, or a loaded sequence classifier.
      tokenizer: a loaded tokenizer; None takes the one beside the model.
      device, dtype: as in `PRMReward`.
      limits: see `EngineLimits`.

    Raises:
      ConfigError: torch is missing, or the model or tokenizer cannot be used.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any = None,
        *,
        device: str = "auto",
        dtype: str = "float32",
        **limits: Unpack[EngineLimits],
    ) -> None:
        def load(path: Any) -> Any:
            from transformers import AutoModelForSequenceClassification

            kind = "sequence classification model"
            return load_with(
                AutoModelForSequenceClassification, path, kind, device=device, dtype=dtype
            )

        model, tokenizer = load_pair(model, tokenizer, load)
        ratings = class_ratings(
            model.config, "rename the classes in config.json (id2label): wrong, right"
        )
        if model.config.problem_type == "multi_label_classification":
            raise ConfigError("the model's outputs are no classes of which one is right")
        from stepnav.engine.plain import PlainRunner

        self.num_parameters = num_parameters(model)
        self.runner = _runner(model, limits)
        reader = _LastReader(
            tokenizer,
            class_probs(ratings) if ratings else value_probs(),
            model.config.get_text_config().pad_token_id,
            shares=not isinstance(self.runner, PlainRunner),
        )
        queue = ScoreQueue(
            reader,
            self.runner,
            flops_per_token=2 * self.num_parameters,
            context=context_length(model),
        )
        super().__init__(queue, reader)


def _runner(model: Any, limits: EngineLimits) -> Any:
    """Return what runs the model: the engine for decoders with a linear head, else whole texts."""
    from stepnav.engine.plain import PlainRunner
    from stepnav.engine.runner import Runner
    from stepnav.rewards.families.headed_models import PerToken

    limits.setdefault("pass_tokens", 1024)
    has_layers = hasattr(model.base_model, "layers") or hasattr(model.base_model, "h")
    if has_layers and hasattr(model, "score"):
        return Runner(PerToken(model), has_logits=False, **limits)
    return PlainRunner(
        model, max_batch=limits.get("max_batch", 64), pass_tokens=limits["pass_tokens"]
    )


class _LastReader:
    """Reads one output per trajectory, at its text's last token that is no padding token.

    Args:
      tokenizer: the model's.
      read: makes probabilities of outputs.
      pad: the padding token, which transformers never reads at; None for none.
      shares: whether the runner reads what prefixes have in common only once.
    """

    def __init__(self, tokenizer: Any, read: Read, pad: int | None, *, shares: bool) -> None:
        self._tokenizer = tokenizer
        self._read = read
        self._pad = pad
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
        except Unreadable as error:
            place = "the question" if error.is_question else f"step {len(steps)}"
            text = question if error.is_question else steps[-1]
            raise BackendError(f"{place} {error}: {quote(text)}", provider="local") from None
        ids = self._ids(question, steps)
        if not steps:
            return ids, (len(ids),)
        if not self._shares:
            return ids, (0, len(ids))
        return ids, (num_shared(self._ids(question, steps[:-1]), ids), len(ids))

    def row(self, tokens: list[int], totals: Sequence[int]) -> Row:
        """Return a row that wants the output at the end."""
        positions = range(len(tokens) - 1, -1, -1)
        last = next((at for at in positions if tokens[at] != self._pad), 0)
        return Row(tokens, (last,))

    def take(self, asked: Sequence[tuple[Row, int]], logits: Any) -> None:
        """Keep the probabilities of each row."""
        for (row, position), probs in zip(asked, self._read(logits)):
            row.outputs[position] = probs

    def scores(self, row: Row) -> tuple[StepScore, ...]:
        """Return the one score.

        Raises:
          NotANumber: the output is none.
        """
        return step_scores([row.outputs[row.wanted[0]]])

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
