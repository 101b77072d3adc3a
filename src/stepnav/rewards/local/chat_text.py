"""Conversations as text, by a tokenizer's own chat template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stepnav.core.errors import ConfigError, one_line

DATE = "26 Jul 2024"
"""The date that templates show, so that scores stay the same: the one that Llama 3's hold."""

DATE_PARTS: Mapping[str, str] = {
    "%d": "26", "%-d": "26", "%e": "26", "%j": "208", "%a": "Fri", "%A": "Friday",
    "%m": "07", "%-m": "7", "%b": "Jul", "%B": "July", "%y": "24", "%Y": "2024",
    "%F": "2024-07-26", "%D": "07/26/24", "%x": "07/26/24", "%c": "Fri Jul 26 00:00:00 2024",
    "%H": "00", "%I": "12", "%M": "00", "%S": "00", "%f": "000000", "%p": "AM",
    "%T": "00:00:00", "%X": "00:00:00",
}  # fmt: skip
"""What `strftime_now` of a template shows for that date; set by a macro in the template, since
transformers takes no function of ours."""

_FIXED_DATE = (
    "{% macro strftime_now(format) %}{{ format"
    + "".join(f".replace('{code}', '{text}')" for code, text in DATE_PARTS.items())
    + " }}{% endmacro %}\n"
)


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
            chat_template=_with_fixed_date(tokenizer.get_chat_template()),
            date_string=DATE,
        )
    except Exception as error:  # jinja and the template's own
        raise ConfigError(
            f"the tokenizer's chat template cannot show roles {[role for role, _ in messages]} "
            f"({one_line(error)})"
        ) from None
    return text


def _with_fixed_date(template: str) -> str:
    return _FIXED_DATE + template if "strftime_now" in template else template
