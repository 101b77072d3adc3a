"""Causal language models that write a good or a bad label after each step, as Math-Shepherd's.

The text is the question, a space, then the steps, each ended by a tag and the next on a new line;
the score is the probability of the good label against the bad one at the tag. Source: the model card
of peiyi9979/math-shepherd-mistral-7b-prm and Wang et al. 2024, https://arxiv.org/abs/2312.08935.
Differs in that a text that holds the tag is refused, where the card's code would count it as a step.
Other models of this kind say how they are read in `stepnav_label_tokens.json` beside their weights.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepnav.core.errors import ConfigError
from stepnav.engine.loading import load_model
from stepnav.files.atomic import write_text
from stepnav.rewards.local_reward import LocalReward, load_pair, single_token
from stepnav.rewards.piece_encoder import (
    PieceEncoder,
    Unreadable,
    mark_ids,
    num_shared,
    plain_ids,
    require_end,
)
from stepnav.rewards.step_format import check_temperature, check_template, check_text
from stepnav.rewards.step_reader import StepReader, pair_probs

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from stepnav.files.atomic import write_text
from stepnav.rewards.local_reward import EngineLimits

FILE_NAME = "stepnav_label_tokens.json"


@dataclass(frozen=True, slots=True)
class LabelTokens:
    """How a model with label tokens is read; the defaults are Math-Shepherd's.

    Attributes:
      tag: what ends each step, one token; a space stands before it in the text.
      good, bad: labels, one token each.
      joiner: text between a tag and the next step.
      prompt_template: text before the first step; holds "{question}".
      temperature: what outputs are divided by before they become probabilities.
    """

    tag: str = "ки"
    good: str = "+"
    bad: str = "-"
    joiner: str = "\n"
    prompt_template: str = "{question} "
    temperature: float = 1.0

    def save(self, folder: Path) -> None:
        """Write the settings beside a model's weights, whole or not at all."""
        text = json.dumps(asdict(self), indent=2, ensure_ascii=False)
        write_text(folder / FILE_NAME, text + "\n")

    @classmethod
    def load(cls, folder: Path) -> LabelTokens:
        """Read the settings beside a model's weights; Math-Shepherd's where there are none.

        Raises:
          ConfigError: the file is not such a file.
        """
        path = folder / FILE_NAME
        if not path.is_file():
            return cls()
        try:
            found = cls(**json.loads(path.read_text(encoding="utf-8")))
            for name in ("tag", "good", "bad"):
                check_text(name, getattr(found, name))
            if not isinstance(found.joiner, str):
                raise ValueError(f"joiner must be text (got {found.joiner!r})")
            check_template(found.prompt_template)
            check_temperature(found.temperature)
            if found.good == found.bad:
                raise ValueError(f"good and bad are the same label ({found.good!r})")
            return found
        except (ValueError, TypeError) as error:
            raise ConfigError(f"{path} is no file of label tokens ({error})") from None


class LabelTokenReward(LocalReward):
    """Scores steps by the label that a causal language model would write after each.

    Args:
      model: a folder, a hub name, or a loaded causal language model.
      tokenizer: a loaded tokenizer; None takes the one beside the model.
      format: tag, labels and text; None takes those beside the model, or else Math-Shepherd's.
      device, dtype: as in `PRMReward`.
      limits: see `EngineLimits`.

    Raises:
      ConfigError: torch is missing, or the model, tokenizer or format cannot be used.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any = None,
        *,
        format: LabelTokens | None = None,  # noqa: A002
        device: str = "auto",
        dtype: str = "float32",
        **limits: Unpack[EngineLimits],
    ) -> None:
        if format is None:
            format = (  # noqa: A001
                LabelTokens.load(Path(model)) if isinstance(model, (str, Path)) else LabelTokens()
            )
        model, tokenizer = load_pair(
            model, tokenizer, lambda path: load_model(path, "causal", device=device, dtype=dtype)
        )
        read = pair_probs(
            single_token(tokenizer, format.good, "good label"),
            single_token(tokenizer, format.bad, "bad label"),
            format.temperature,
        )
        reader = StepReader(_encoder(tokenizer, format), read)
        super().__init__(model, reader, has_logits=True, **limits)


def _encoder(tokenizer: Any, format: LabelTokens) -> PieceEncoder:  # noqa: A002
    tag = single_token(tokenizer, format.tag, "step tag")
    marks = mark_ids(tokenizer) | {tag}

    def first(question: str, step: str) -> tuple[list[int], int]:
        plain_ids(tokenizer, question, marks, is_question=True)
        plain_ids(tokenizer, step, marks)
        prompt = format.prompt_template.replace("{question}", question)
        ids = _with_bos(tokenizer, f"{prompt}{step} {format.tag}")
        require_end(ids, [tag], tag)
        return ids, num_shared(_with_bos(tokenizer, prompt), ids)

    def later(step: str) -> list[int]:
        plain_ids(tokenizer, step, marks)
        text = f"{format.tag}{format.joiner}{step} {format.tag}"
        ids: list[int] = tokenizer.encode(text, add_special_tokens=False)
        if ids[0] != tag or ids.count(tag) != 2:
            raise Unreadable("is tokenised together with the tag before it")
        require_end(ids[1:], [tag], tag)
        return ids[1:]

    return PieceEncoder(first, later)


def _with_bos(tokenizer: Any, text: str) -> list[int]:
    """Return a text's tokens with what the tokenizer puts before them, not what it puts after."""
    ids: list[int] = tokenizer.encode(text)
    return ids[:-1] if ids[-1] == tokenizer.eos_token_id else ids
