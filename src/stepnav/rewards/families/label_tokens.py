"""Causal language models that write a good or a bad label after each step, as Math-Shepherd's.

The text is the question, a space, then the steps, each ended by a tag and the next on a new line;
the score is the probability of the good label against the bad one at the tag. Source: the model
card of peiyi9979/math-shepherd-mistral-7b-prm and Wang et al. 2024,
https://arxiv.org/abs/2312.08935. Differs in that a text that holds the tag is refused, where the
card's code would count it as a step. Other models of this kind say how they are read in
`stepnav_label_tokens.json` beside their weights.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stepnav.core.errors import ConfigError
from stepnav.files.atomic import write_text
from stepnav.files.versioned import stamped, unstamped
from stepnav.rewards.local.family import (
    CAUSAL,
    Family,
    read_by_position,
    single_token,
)
from stepnav.rewards.local.piece_encoder import (
    PieceEncoder,
    Unreadable,
    mark_ids,
    num_shared,
    plain_ids,
    require_end,
)
from stepnav.rewards.local.step_format import check_temperature, check_template, check_text
from stepnav.rewards.local.step_reader import PairProbs, StepReader

FILE_NAME = "stepnav_label_tokens.json"


@dataclass(frozen=True, slots=True)
class LabelTokens:
    """How a model with label tokens is read; the defaults are Math-Shepherd's.

    Attributes:
      tag: what ends each step, one token after text and `before_tag`.
      good, bad: labels, one token each.
      joiner: text between a tag and the next step.
      prompt_template: text before the first step; holds "{question}".
      temperature: what outputs are divided by before they become probabilities.
      before_tag: text between a step and its tag; "" for a tag that is a token with white space of
        its own.
    """

    tag: str = "ки"
    good: str = "+"
    bad: str = "-"
    joiner: str = "\n"
    prompt_template: str = "{question} "
    temperature: float = 1.0
    before_tag: str = " "

    def check(self) -> None:
        """Refuse settings that no model could be read with.

        Raises:
          ValueError: says which.
        """
        for name in ("tag", "good", "bad"):
            check_text(name, getattr(self, name))
        for name in ("joiner", "before_tag"):
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"{name} must be text (got {getattr(self, name)!r})")
        check_template(self.prompt_template)
        check_temperature(self.temperature)
        if self.good == self.bad:
            raise ValueError(f"good and bad are the same label ({self.good!r})")
        if self.tag[0].isspace() and self.before_tag[-1:].isspace():
            raise ValueError(
                f"the tag {self.tag!r} begins with white space, and before_tag {self.before_tag!r} "
                'ends in it, so they would become other tokens; set before_tag to ""'
            )

    def save(self, folder: Path) -> None:
        """Write the settings beside a model's weights, whole or not at all."""
        text = json.dumps(stamped(asdict(self)), indent=2, ensure_ascii=False)
        write_text(folder / FILE_NAME, text + "\n")

    @classmethod
    def load(cls, folder: Path) -> LabelTokens:
        """Read the settings beside a model's weights; Math-Shepherd's where there are none.

        Raises:
          ConfigError: the file is not such a file.
          DataError: it is of another version.
        """
        path = folder / FILE_NAME
        try:
            found = cls(**unstamped(json.loads(path.read_text(encoding="utf-8")), path))
            found.check()
            return found
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise ConfigError(f"{path} is no file of label tokens ({error})") from None


def _format(folder: Path | None, config: Any) -> LabelTokens:
    return LabelTokens() if folder is None else LabelTokens.load(folder)


def _reader(model: Any, tokenizer: Any, format: LabelTokens) -> StepReader:  # noqa: A002
    read = PairProbs(
        single_token(tokenizer, format.good, "good label"),
        single_token(tokenizer, format.bad, "bad label"),
        format.temperature,
    )
    return StepReader(_encoder(tokenizer, format), read)


def _encoder(tokenizer: Any, format: LabelTokens) -> PieceEncoder:  # noqa: A002
    try:
        format.check()
    except ValueError as error:
        raise ConfigError(str(error)) from None
    end = format.before_tag + format.tag
    start, tag = _tag_after_text(tokenizer, format)
    marks = mark_ids(tokenizer) | {tag}

    def first(question: str, step: str) -> tuple[list[int], int]:
        plain_ids(tokenizer, question, marks, is_question=True)
        plain_ids(tokenizer, step, marks)
        prompt = format.prompt_template.replace("{question}", question)
        ids = _with_bos(tokenizer, prompt + step + end)
        require_end(ids, [tag], tag)
        return ids, num_shared(_with_bos(tokenizer, prompt), ids)

    def later(step: str) -> list[int]:
        plain_ids(tokenizer, step, marks)
        text = _TEXT + end + format.joiner + step + end
        ids: list[int] = tokenizer.encode(text, add_special_tokens=False)
        if ids[: len(start)] != start:
            raise Unreadable("is tokenised together with the tag before it")
        require_end(ids[len(start) :], [tag], tag)
        return ids[len(start) :]

    return PieceEncoder(first, later)


_TEXT = "a"
"""Stands for the text before a tag."""


def _tag_after_text(tokenizer: Any, format: LabelTokens) -> tuple[list[int], int]:  # noqa: A002
    """Return the tokens of a text with a tag, and the tag's.

    Raises:
      ConfigError: the tag is not one token there.
    """
    before = tokenizer.encode(_TEXT + format.before_tag, add_special_tokens=False)
    ids: list[int] = tokenizer.encode(
        _TEXT + format.before_tag + format.tag, add_special_tokens=False
    )
    num_tag = len(ids) - num_shared(before, ids)
    if num_tag != 1 or ids[-1] == tokenizer.unk_token_id:
        raise ConfigError(
            f"the tokenizer has no single token for the step tag {format.tag!r} (it gives "
            f"{num_tag} after text); this is no reward model of this family, or its tokenizer is "
            "another's"
        )
    return ids, ids[-1]


def _with_bos(tokenizer: Any, text: str) -> list[int]:
    """Return a text's tokens with what the tokenizer puts before them, not what it puts after."""
    ids: list[int] = tokenizer.encode(text)
    return ids[:-1] if ids[-1] == tokenizer.eos_token_id else ids


MATH_SHEPHERD = Family(
    "causal language model",
    CAUSAL,
    _reader,
    _format,
    read_by_position,
    served="labels",
    kind="causal",
)
