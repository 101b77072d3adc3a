"""The wording of the arithmetic stories: one table of templates per domain.

A domain is pure data, in a JSON file beside this one. Slots: `{N}` the main character, `{P}`/`{p}`
its pronoun, `{o}` the possessive, `{h}` the object form, `{F}` a friend, `{u}` the thing counted,
`{a}` one amount, `{n}` and `{m}` a number of groups and their size, `{e}` a finished calculation
such as `24 + 15 = 39`. What the events mean lives in `stories.py`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Domain:
    """Templates of one kind of story.

    Fields:
      name: identifier.
      nouns: things that may be counted.
      subject: `person`, or the noun phrase of a place or thing ("The bus").
      openings: sentences that give the starting amount.
      gains, losses: sentences of events that add or take `{a}`.
      group_gains, group_losses: (event sentence, step text) of events that add or take `{n}` times
        `{m}`.
      growths: (factor, sentence) of events that multiply.
      splits: (divisor or 0 for any `{k}`, sentence) of events that divide exactly.
      states: step texts that give the new total.
      start_remark, total_remark: true remarks about the starting amount and about the total so far.
      facts: sentences with a number `{d}` that does not matter.
      question: the closing question.
      sale: whether everything left may be sold at the end.
    """

    name: str
    nouns: tuple[str, ...]
    subject: str
    openings: tuple[str, ...]
    gains: tuple[str, ...]
    losses: tuple[str, ...]
    group_gains: tuple[tuple[str, str], ...]
    group_losses: tuple[tuple[str, str], ...]
    growths: tuple[tuple[int, str], ...]
    splits: tuple[tuple[int, str], ...]
    states: tuple[str, ...]
    start_remark: str
    total_remark: str
    facts: tuple[str, ...]
    question: str
    sale: bool = False


def _tuples(value: Any) -> Any:
    """Return a JSON value with tuples for its lists."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


_DATA = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))

SHE_NAMES: tuple[str, ...] = _tuples(_DATA["she_names"])
HE_NAMES: tuple[str, ...] = _tuples(_DATA["he_names"])
DOMAINS: tuple[Domain, ...] = tuple(
    Domain(**{name: _tuples(value) for name, value in fields.items()})
    for fields in _DATA["domains"]
)
