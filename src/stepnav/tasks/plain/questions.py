"""Draws a whole question: relation, numbers, words, and the noise of everyday writing."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import accumulate

from stepnav.tasks.plain.bare import draw_bare
from stepnav.tasks.plain.calculation import Plan, work_out
from stepnav.tasks.plain.comparisons import AGES, COMPARISONS
from stepnav.tasks.plain.groups import GROUPS, SHARING
from stepnav.tasks.plain.money import MONEY
from stepnav.tasks.plain.parts import FRACTIONS
from stepnav.tasks.plain.rates import RATES, TIME
from stepnav.tasks.plain.relation import Relation, draw_numbers
from stepnav.tasks.plain.story import draw_story
from stepnav.tasks.plain.wording import Wording, sentences

SHARES: dict[str, tuple[float, tuple[Relation, ...]]] = {
    "bare": (0.2, ()),
    "change": (0.2, ()),
    "groups": (0.11, GROUPS),
    "sharing": (0.1, SHARING),
    "money": (0.11, MONEY),
    "rates": (0.08, RATES),
    "time": (0.06, TIME),
    "comparison": (0.09, COMPARISONS),
    "age": (0.05, AGES),
    "fraction": (0.08, FRACTIONS),
}
"""Kind -> how often it is drawn, and its relations; bare sums and stories of change have code of their own."""

MAX_STEPS = 5
"""Most steps of a reference, the parts of long products counted."""
FACT_PROB = 0.1
_FACTS = (
    "It is {x} (miles|minutes|km) (from home|away).", "{His} (house|car|street) is number {x}.", "It (is|was) a (sunny|rainy|cold|warm) day.",
    "{N} (like{s}|love{s}) {v}.", "{F} {Fhas} {x} {v}.", "The (store|shop) opens at {x}.", "It is {day} today.", "{N} live{s} in (town|a small house|the city).",
    "{His} favorite color is {color}.", "There are also {x} {v} {L}.", "{F} (came|comes) too.", "{N} {is} very happy (about it|).", "This took {x} minutes.",
)  # fmt: skip
_OPENERS = (
    "Hi, ", "Please help: ", "Can you solve this? ", "Quick question: ", "Solve this: ", "Math problem: ", "Question: ", "I have a question. ", "Help me: ",
    "OK, ", "So, ", "Here is a puzzle. ", "Problem: ",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Question:
    """One question and all that is known of it.

    Attributes:
      kind: key of `SHARES`.
      text: the question, one line.
      plans: every right plan, the reference first.
    """

    kind: str
    text: str
    plans: tuple[Plan, ...]

    @property
    def answer(self) -> int:
        """What the last calculation gives."""
        return self.plans[0][-1].result


_KINDS = tuple(SHARES)
_KIND_WEIGHTS = tuple(accumulate(share for share, _ in SHARES.values()))
_WEIGHTS = {kind: tuple(accumulate(r.weight for r in rows)) for kind, (_, rows) in SHARES.items()}
_TEMPLATES = {id(r): r.templates for _, rows in SHARES.values() for r in rows}


def draw_question(rng: random.Random) -> Question:
    """Return a question drawn from `rng`, which is consumed."""
    (kind,) = rng.choices(_KINDS, cum_weights=_KIND_WEIGHTS)
    while True:
        question = _draw(kind, rng)
        if question is not None:
            return question


def _draw(kind: str, rng: random.Random) -> Question | None:
    """Return a question of a kind; None if its numbers do not work out."""
    if kind == "bare":
        text, plan, numbers, order = draw_bare(rng)
        plans = _short(work_out(plan, numbers, order))
        return None if plans is None else Question(kind, text, plans)
    if kind == "change":
        text, plan, numbers, wording = draw_story(rng)
    else:
        rows = SHARES[kind][1]
        (relation,) = rng.choices(rows, cum_weights=_WEIGHTS[kind])
        numbers, plan = draw_numbers(relation.draw, rng), relation.plan
        if work_out(plan, numbers) is None:
            return None
        wording = Wording(rng, {**numbers, "x": rng.randint(2, 60)})
        text = wording.fill(_with_fact(rng.choice(_TEMPLATES[id(relation)]), rng))
    plans = _short(work_out(plan, numbers, wording.order))
    return None if plans is None else Question(kind, _as_typed(sentences(text), rng), plans)


def _short(plans: tuple[Plan, ...] | None) -> tuple[Plan, ...] | None:
    """Return the plans, None if the reference is too long."""
    return None if plans is None or len(plans[0]) > MAX_STEPS else plans


def _with_fact(template: str, rng: random.Random) -> str:
    """Return a template with a sentence put in that does not matter, now and then."""
    head, stop, rest = template.partition(". ")
    if not stop or rng.random() >= FACT_PROB:
        return template
    return f"{head}. {rng.choice(_FACTS)} {rest}"


def _as_typed(text: str, rng: random.Random) -> str:
    """Return the text as people type it: now and then without capitals, without its mark, after a greeting."""
    draw = rng.random()
    if draw < 0.04:
        return rng.choice(_OPENERS) + text
    if draw < 0.08:
        return text.lower()
    if draw < 0.12:
        return text.rstrip("?.")
    return text
