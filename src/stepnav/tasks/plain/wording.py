"""Templates of text: `(one|other)` is a choice, `{name}` a slot; numbers are written in many ways.

Slots of persons: `{N}` and `{F}` are two people, `{he}`, `{his}`, `{him}` stand for the first
(`{Fhe}` and so on for the second), `{s}`, `{has}`, `{does}`, `{is}`, `{was}` agree with it. `{u}`,
`{u1}` are things and one thing, `{v}`, `{v1}` others, `{c}`, `{c1}` containers. `{$a}` is the
number a as money, `{-a}` money before a noun, `{a:th}` one part of a, `{a/b}` a fraction, `{a%}` a
percentage.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Union

from stepnav.core.numerals import SMALL_WORDS, TENS_WORDS
from stepnav.tasks.plain import words

_BRACKET = re.compile(r"[()|]")
_SLOT = re.compile(r"\{([$-]?)(\w+)(:th|%|/\w+)?\}")
_SENTENCE_START = re.compile(r"(?:^|[.?!] )([a-z])")
_SPACE_BEFORE_STOP = re.compile(r" +([.,?])")
_ARTICLE = re.compile(r"\b([Aa]) (?=[aeio]|un[dcl]|um)")

_PARTS = {3: "third", 4: "quarter", 5: "fifth", 6: "sixth", 8: "eighth", 10: "tenth"}


def number_word(number: int) -> str | None:
    """Return a number below 1000 in words where that is short, else None.

    Example:
      >>> number_word(12), number_word(45), number_word(300), number_word(345)
      ('twelve', 'forty-five', 'three hundred', None)
    """
    if number < 20:
        return SMALL_WORDS[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return TENS_WORDS[tens - 2] + (f"-{SMALL_WORDS[ones]}" if ones else "")
    if number < 1000 and number % 100 == 0:
        return f"{SMALL_WORDS[number // 100]} hundred"
    return None


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot of a template: `{` mark name form `}`."""

    mark: str
    name: str
    form: str


Part = Union[str, Slot, "tuple[tuple[Part, ...], ...]"]
"""Plain text, a slot, or a choice between lists of parts."""


@lru_cache(maxsize=8192)
def _parsed(template: str) -> tuple[Part, ...]:
    """Return a template's parts."""
    (parts,), end = _alternatives(template, 0)
    assert end == len(template), f"brackets do not match: {template}"
    return parts


def _alternatives(text: str, start: int) -> tuple[tuple[tuple[Part, ...], ...], int]:
    """Return the alternatives from `start` to the bracket that ends them, and its position."""
    found: list[tuple[Part, ...]] = []
    parts: list[Part] = []
    while True:
        match = _BRACKET.search(text, start)
        end = match.start() if match else len(text)
        parts += _slotted(text[start:end])
        if match is None or match[0] == ")":
            return (*found, tuple(parts)), end
        if match[0] == "|":
            found.append(tuple(parts))
            parts, start = [], end + 1
        else:
            choice, end = _alternatives(text, end + 1)
            parts.append(choice)
            start = end + 1


def _slotted(text: str) -> list[Part]:
    """Return text without brackets as its words and slots."""
    parts: list[Part] = []
    start = 0
    for match in _SLOT.finditer(text):
        parts += [text[start : match.start()], Slot(match[1], match[2], match[3] or "")]
        start = match.end()
    return [*parts, text[start:]]


class Wording:
    """Fills the templates of one question; words stay the same through it.

    Attributes:
      order: names of numbers in the order in which they were told.
    """

    def __init__(self, rng: random.Random, numbers: Mapping[str, int]) -> None:
        self.rng = rng
        self.numbers = dict(numbers)
        self.order: list[str] = []
        self.is_dollar_sign = rng.random() < 0.55
        self.currency = rng.choice(("dollars",) * 8 + ("euros", "cents", "pounds", "coins"))
        self.words_prob = rng.choice((0.0, 0.05, 0.05, 0.35))
        self.slots = _draw_slots(rng)
        self.slots["dollars"] = "dollars" if self.is_dollar_sign else self.currency
        self.slots["dollar"] = self.slots["dollars"].removesuffix("s")

    def fill(self, template: str) -> str:
        """Return a template's text, slots filled."""
        text = self.written(_parsed(template))
        return _SPACE_BEFORE_STOP.sub(r"\1", " ".join(text.split()))

    def written(self, parts: tuple[Part, ...]) -> str:
        """Return parsed parts as text, one of each choice taken."""
        texts = []
        for part in parts:
            if isinstance(part, str):
                texts.append(part)
            elif isinstance(part, Slot):
                texts.append(self.slot(part.mark, part.name, part.form))
            else:
                texts.append(self.written(self.rng.choice(part)))
        return "".join(texts)

    def slot(self, mark: str, name: str, form: str) -> str:
        """Return what stands in a slot."""
        if name not in self.numbers:
            return self.slots[name]
        if name not in self.order:
            self.order.append(name)
        number = self.numbers[name]
        if form == "%":
            return f"{number}{self.rng.choice(('%', '%', ' percent'))}"
        if form == ":th":
            return self.part(1, number)
        if form:
            return self.part(number, self.numbers[form[1:]])
        if mark and self.is_dollar_sign:
            return f"${self.digits(number)}"
        if mark == "$":
            return f"{self.number(number)} {self.currency}"
        if mark == "-":
            return f"{self.number(number)}{self.rng.choice(' -')}{self.slots['dollar']}"
        return self.number(number)

    def part(self, count: int, size: int) -> str:
        """Return a fraction."""
        if self.rng.random() < 0.4 or size not in _PARTS:
            return f"{count}/{size}"
        one = self.rng.choice(("a", "one")) if count == 1 else number_word(count)
        noun = _PARTS[size]
        return f"{one} {noun if count == 1 else words.plural(noun)}"

    def number(self, number: int) -> str:
        """Return a number as digits or in words."""
        prob = max(self.words_prob, 0.15 if number <= 10 else 0.0)
        word = number_word(number)
        if word is not None and number < 100 and self.rng.random() < prob:
            return "a dozen" if number == 12 and self.rng.random() < 0.5 else word
        return self.digits(number)

    def digits(self, number: int) -> str:
        """Return a number in digits, long ones now and then with a comma."""
        return f"{number:,}" if self.rng.random() < 0.3 else str(number)


def sentences(text: str) -> str:
    """Return the text with capitals after full stops, and "an" before vowels."""
    text = _ARTICLE.sub(r"\1n ", text)
    return _SENTENCE_START.sub(lambda match: match[0].upper(), text)


def _draw_slots(rng: random.Random) -> dict[str, str]:
    """Draw all words of a question."""
    first = words.person(rng)
    second = words.person(rng, may_be_self=False)
    slots = {**_agreement("", first), **_agreement("F", second)}
    for name, table, made_up_prob in _NOUNS:
        noun = words.noun(rng, table, made_up_prob)
        slots |= {name: noun.many, f"{name}1": noun.one}
    return slots | {name: rng.choice(words.WORDS[table]) for name, table in _CHOICES.items()}


_NOUNS = (
    ("u", "things", 0.15),
    ("v", "things", 0.15),
    ("w", "things", 0.15),
    ("c", "containers", 0.05),
    ("b", "buyable", 0.1),
    ("d", "buyable", 0.1),
)
"""Slot, table, and how often its noun means nothing."""

_CHOICES = {
    "L": "places",
    "color": "colors",
    "shade": "colors",
    "day": "days",
    "later": "days",
    "job": "jobs",
    "drink": "drinks",
}
"""Slot to table."""


def _agreement(prefix: str, person: words.Person) -> dict[str, str]:
    """Return the slots of a person."""
    many = person.is_plural
    forms = {
        "he": person.he,
        "his": person.his,
        "him": person.him,
        "s": "" if many else "s",
        "es": "" if many else "es",
        "ies": "y" if many else "ies",
        "has": "have" if many else "has",
        "does": "do" if many else "does",
        "is": "am" if person.he == "I" else "are" if many else "is",
        "was": "were" if many and person.he != "I" else "was",
    }
    forms |= {"He": person.he, "His": person.his}  # capitals come with the sentences
    slots = {prefix + name: form for name, form in forms.items()}
    return slots | {prefix or "N": person.name}
