"""Draws a whole question: relation, numbers, words, and the noise of everyday writing."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import accumulate

from stepnav.tasks.plain.bare import draw_bare
from stepnav.tasks.plain.calculation import Plan, work_out
from stepnav.tasks.plain.relation import draw_numbers, read_relations
from stepnav.tasks.plain.story import draw_story
from stepnav.tasks.plain.tables import TEXTS
from stepnav.tasks.plain.wording import Wording, sentences

SHARES = {
    "bare": 0.2,
    "change": 0.2,
    "groups": 0.11,
    "sharing": 0.1,
    "money": 0.11,
    "rates": 0.08,
    "time": 0.06,
    "comparison": 0.09,
    "age": 0.05,
    "fraction": 0.08,
}
"""Kind -> how often it is drawn; bare sums and stories have their own code, the rest relations."""

RELATIONS = read_relations()

MAX_STEPS = 5
"""Most steps of a reference, the parts of long products counted."""
FACT_PROB = 0.1


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
_KIND_WEIGHTS = tuple(accumulate(SHARES.values()))
_WEIGHTS = {kind: tuple(accumulate(r.weight for r in rows)) for kind, rows in RELATIONS.items()}


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
        (relation,) = rng.choices(RELATIONS[kind], cum_weights=_WEIGHTS[kind])
        numbers, plan = draw_numbers(relation.draw, rng), relation.plan
        if work_out(plan, numbers) is None:
            return None
        wording = Wording(rng, {**numbers, "x": rng.randint(2, 60)})
        text = wording.fill(_with_fact(rng.choice(relation.templates), rng))
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
    return f"{head}. {rng.choice(TEXTS['facts'])} {rest}"


def _as_typed(text: str, rng: random.Random) -> str:
    """Return the text as people type it: at times without capitals or mark, or after a greeting."""
    draw = rng.random()
    if draw < 0.04:
        return f"{rng.choice(TEXTS['openers'])} {text}"
    if draw < 0.08:
        return text.lower()
    if draw < 0.12:
        return text.rstrip("?.")
    return text
