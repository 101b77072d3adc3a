"""The words that plain questions are filled with: people, things, places, and made-up words.

A model that meets thousands of nouns, a part of them made up, learns that they do not matter.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stepnav.tasks.plain.tables import read_tables


def _entries(lines: Sequence[str]) -> list[str]:
    """Return the entries of a table: its lines' words, or what stands between bars."""
    return "|".join(lines).split("|") if "|" in lines[0] else " ".join(lines).split()


WORDS: Mapping[str, Sequence[str]] = {
    heading: _entries(lines)
    for heading, lines in read_tables(Path(__file__).with_name("words.txt")).items()
}
"""The tables of `words.txt`, by heading."""


@dataclass(frozen=True, slots=True)
class Thing:
    """A noun.

    Attributes:
      one, many: its singular and plural.
    """

    one: str
    many: str


@dataclass(frozen=True, slots=True)
class Person:
    """Someone who does things.

    Attributes:
      name: as the subject of a sentence.
      he, his, him: pronouns.
      is_plural: whether verbs go without "s", as after "I" and "they".
    """

    name: str
    he: str
    his: str
    him: str
    is_plural: bool = False


I_MYSELF = Person("I", "I", "my", "me", True)
WE = Person("we", "we", "our", "us", True)
YOU = Person("you", "you", "your", "you", True)


def made_up(rng: random.Random) -> str:
    """Return a word that means nothing."""
    parts = rng.choice((1, 1, 2))
    starts, middles = WORDS["starts"], WORDS["middles"]
    word = "".join(rng.choice(starts) + rng.choice(middles) for _ in range(parts))
    return word + rng.choice(WORDS["ends"])


def noun(rng: random.Random, table: str, made_up_prob: float) -> Thing:
    """Return a noun of a table, or now and then one that means nothing."""
    word = made_up(rng) if rng.random() < made_up_prob else rng.choice(WORDS[table])
    one, _, many = word.partition(":")
    return Thing(one, many or plural(one))


def plural(word: str) -> str:
    """Return the regular plural.

    Example:
      >>> plural("box"), plural("pen"), plural("baby")
      ('boxes', 'pens', 'babies')
    """
    if word.endswith(("x", "s", "sh", "ch", "z")):
        return word + "es"
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    return word + "s"


def person(rng: random.Random, *, may_be_self: bool = True) -> Person:
    """Return a person: a name, a relative, "I", "we", ..."""
    kind = rng.random()
    if may_be_self and kind < 0.22:
        return I_MYSELF if kind < 0.16 else WE if kind < 0.2 else YOU
    if kind < 0.27:
        return Person(rng.choice(WORDS["they people"]), "they", "their", "them", True)
    is_she = rng.random() < 0.5
    if kind < 0.47:
        name = rng.choice(WORDS["she people" if is_she else "he people"])
    elif kind < 0.57:
        name = made_up(rng).capitalize()
    else:
        name = rng.choice(WORDS["she" if is_she else "he"])
    return Person(name, *(("she", "her", "her") if is_she else ("he", "his", "him")))
