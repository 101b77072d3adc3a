"""Skywork-o1-Open-PRM: a value after each line of a solution, read at its newline.

The score of a step is the sigmoid of the value at its last newline. Source: the model card of
Skywork/Skywork-o1-Open-PRM-Qwen-2.5-7B and https://github.com/SkyworkAI/skywork-o1-prm-inference,
which takes each line for a step; here a step may have several lines, and the last one's value is
its score.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stepnav.core.errors import ConfigError
from stepnav.engine.loading import load_with
from stepnav.rewards.local.piece_encoder import PieceEncoder, mark_ids, plain_ids
from stepnav.rewards.local.reward import LocalReward, load_pair, single_token
from stepnav.rewards.local.step_reader import StepReader, value_probs

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from stepnav.rewards.local.reward import EngineLimits

SEPARATOR = "\n"


class SkyworkReward(LocalReward):
    """Scores steps with a Skywork-o1-Open-PRM in this process.

    Args:
      model: a folder, a hub name, or a loaded `Qwen2ValueReward`.
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
            from stepnav.rewards.families.headed_models import Qwen2ValueReward

            kind = "Skywork-o1-Open-PRM"
            return load_with(Qwen2ValueReward, path, kind, device=device, dtype=dtype)

        model, tokenizer = load_pair(model, tokenizer, load)
        super().__init__(model, StepReader(_encoder(tokenizer), value_probs()), **limits)


def _encoder(tokenizer: Any) -> PieceEncoder:
    if tokenizer.bos_token is None:
        raise ConfigError(
            "a Skywork PRM's text begins with the tokenizer's BOS token, and it has none; "
            "copy the tokenizer that came with the model"
        )
    newline = single_token(tokenizer, SEPARATOR, "step separator")
    marks = mark_ids(tokenizer)

    def later(step: str) -> list[int]:
        ids: list[int] = []
        for line in step.split(SEPARATOR):
            ids += [*plain_ids(tokenizer, line, marks), newline]
        return ids

    def first(question: str, step: str) -> tuple[list[int], int]:
        plain_ids(tokenizer, question, marks, is_question=True)
        text = tokenizer.bos_token + question + SEPARATOR
        ids: list[int] = tokenizer.encode(text, add_special_tokens=False)
        return ids + later(step), len(ids)

    return PieceEncoder(first, later)
