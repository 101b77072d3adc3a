"""Conversations as text, by a tokenizer's own chat template."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from stepnav.core.errors import ConfigError, one_line

DATE = datetime(2024, 7, 26)
"""The date that templates show, so that scores stay the same: the one that those of Llama 3 hold themselves."""


def render(
    tokenizer: Any, messages: Sequence[tuple[str, str]], *, add_generation_prompt: bool = False
) -> str:
    """Return a conversation as the model sees it.

    Args:
      tokenizer: has a chat template.
      messages: (role, text) each.
      add_generation_prompt: whether the beginning of the next answer stands at its end.
    Raises:
      ConfigError: there is no template, or it refuses such a conversation.
    """
    if not tokenizer.chat_template:
        raise ConfigError(
            "the tokenizer has no chat template, and this reward model needs one; "
            "copy the tokenizer that came with the model"
        )
    try:
        text: str = tokenizer.apply_chat_template(
            [{"role": role, "content": content} for role, content in messages],
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
            date_string=DATE.strftime("%d %b %Y"),
            strftime_now=DATE.strftime,
        )
    except Exception as error:  # jinja and the template's own
        raise ConfigError(
            f"the tokenizer's chat template cannot show roles {[role for role, _ in messages]} "
            f"({one_line(error)})"
        ) from None
    return text
