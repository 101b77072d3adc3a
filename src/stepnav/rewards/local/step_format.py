"""How a problem and its steps become the tokens of a process reward model.

Training and scoring tokenise through this one file, and its settings are saved beside the weights
(`stepnav_prm.json`), so that a model is never asked in another format than it was trained in.
A rating is read at the last token of each step's separator.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from stepnav.core.errors import ConfigError
from stepnav.core.records import trimmed
from stepnav.files.atomic import write_text
from stepnav.files.versioned import stamped, unstamped
from stepnav.rewards.local.piece_encoder import PieceEncoder, mark_ids, plain_ids, refuse_marks

FILE_NAME = "stepnav_prm.json"
PROMPTS_KEPT = 4096


def check_text(name: str, value: object) -> None:
    """Refuse what is no text, or empty."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} must be text (got {value!r})")


def check_template(value: object) -> None:
    """Refuse a prompt template that does not show the question."""
    if not isinstance(value, str) or "{question}" not in value:
        raise ValueError(f"prompt_template must be text with {{question}} (got {value!r})")


def check_temperature(value: object) -> None:
    """Refuse what is no temperature."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not (is_number and 0 < value < math.inf):  # type: ignore[operator]
        raise ValueError(f"temperature must be a number above 0 (got {value!r})")


@dataclass(frozen=True, slots=True)
class StepFormat:
    """The token format of a PRM.

    Attributes:
      separator: text after each step, tokenised on its own.
      prompt_template: how the question is shown; holds "{question}".
      labels: rating that each output class stands for, in class order; empty for a continuous
        value, which is the sigmoid of one output.
      add_bos: whether the tokeniser's BOS token comes first, if it has one.
      temperature: what the outputs are divided by before they become probabilities; calibration
        sets it (Guo et al. 2017, section 4.2, https://arxiv.org/abs/1706.04599).
    """

    separator: str = "\n"
    prompt_template: str = "{question}\n"
    labels: tuple[int, ...] = (-1, 0, 1)
    add_bos: bool = True
    temperature: float = 1.0

    @property
    def num_outputs(self) -> int:
        """How many outputs per token the model has."""
        return len(self.labels) or 1

    def step_text(self, step: str) -> str:
        """Return the step as it is scored: without the policy's own separator, with ours.

        Indentation stays: in code it is part of the step.
        """
        return trimmed(step) + self.separator

    def encode_prompt(self, tokenizer: Any, question: str) -> list[int]:
        """Return the tokens before the first step."""
        text = self.prompt_template.replace("{question}", question)
        ids: list[int] = tokenizer.encode(text, add_special_tokens=False)
        if self.add_bos and tokenizer.bos_token_id is not None:
            ids.insert(0, tokenizer.bos_token_id)
        return ids

    def encode_step(self, tokenizer: Any, step: str) -> list[int]:
        """Return a step's tokens and its separator's; a step never changes the tokens before it."""
        return self.bare_ids(tokenizer, step) + self.separator_ids(tokenizer)

    def bare_ids(self, tokenizer: Any, step: str) -> list[int]:
        """Return one step's tokens without its separator's."""
        ids: list[int] = tokenizer.encode(trimmed(step), add_special_tokens=False)
        return ids

    def separator_ids(self, tokenizer: Any) -> list[int]:
        """Return the separator's tokens.

        Raises:
          ConfigError: the tokenizer has none for it.
        """
        ids: list[int] = tokenizer.encode(self.separator, add_special_tokens=False)
        if not ids or (tokenizer.unk_token_id is not None and tokenizer.unk_token_id in ids):
            raise ConfigError(
                f"the tokenizer has no token for the step separator {self.separator!r}; choose one "
                "that it knows, or add it to the tokenizer and resize the model's embeddings"
            )
        return ids

    def encode(
        self, tokenizer: Any, question: str, steps: Sequence[str]
    ) -> tuple[list[int], list[int]]:
        """Return all tokens and, for each step, the position at which its rating is read."""
        ids = self.encode_prompt(tokenizer, question)
        ends: list[int] = []
        for step in steps:
            ids.extend(self.encode_step(tokenizer, step))
            ends.append(len(ids) - 1)
        return ids, ends

    def save(self, folder: Path) -> None:
        """Write the settings beside a model's weights, whole or not at all."""
        write_text(folder / FILE_NAME, json.dumps(stamped(asdict(self)), indent=2) + "\n")

    @classmethod
    def load(cls, folder: Path) -> StepFormat:
        """Read the settings saved beside a model's weights.

        Raises:
          ConfigError: the file is missing or is not such a file.
          DataError: it is of another version.
        """
        path = folder / FILE_NAME
        try:
            fields = unstamped(json.loads(path.read_text(encoding="utf-8")), path)
            found = cls(**{**fields, "labels": tuple(fields["labels"])})
            check_text("separator", found.separator)
            check_template(found.prompt_template)
            check_temperature(found.temperature)
            if not isinstance(found.add_bos, bool):
                raise ValueError(f"add_bos must be true or false (got {found.add_bos!r})")
            if found.labels and not ({-1, 1} <= set(found.labels) <= {-1, 0, 1}):
                raise ValueError(
                    f"labels must be ratings, -1 and 1 among them (got {fields['labels']})"
                )
            return found
        except FileNotFoundError:
            raise ConfigError(
                f"{folder} has no {FILE_NAME}, so its step separator and labels are unknown; "
                "it must stand beside the weights of a process reward model"
            ) from None
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise ConfigError(f"{path} is not a valid step format ({error})") from None


class TrajectoryEncoder(PieceEncoder):
    """Tokenises by a `StepFormat`.

    A text that holds a special token is refused, and so is one that holds the separator where that
    is an added token.

    Args:
      tokenizer: the reward model's.
      format: how prompts and steps are shown.
    """

    def __init__(self, tokenizer: Any, format: StepFormat) -> None:  # noqa: A002
        separator = format.separator_ids(tokenizer)
        marks = mark_ids(tokenizer)
        if len(separator) == 1 and format.separator.strip():
            marks |= {*separator} & {*tokenizer.added_tokens_decoder}

        @lru_cache(PROMPTS_KEPT)
        def prompt(question: str) -> list[int]:
            plain_ids(tokenizer, question, marks, is_question=True)
            return format.encode_prompt(tokenizer, question)

        def later(step: str) -> list[int]:
            ids = format.bare_ids(tokenizer, step)
            refuse_marks(tokenizer, ids, marks)
            return ids + separator

        def first(question: str, step: str) -> tuple[list[int], int]:
            before = prompt(question)
            return before + later(step), len(before)

        super().__init__(first, later)
