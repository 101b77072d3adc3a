"""Stories of change: a beginning, one to three events, and a question about an end of it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import permutations

from stepnav.tasks.plain.relation import RANGES
from stepnav.tasks.plain.tables import TEXTS
from stepnav.tasks.plain.wording import Wording


def draw_story(rng: random.Random) -> tuple[str, str, dict[str, int], Wording]:
    """Return (question without capitals, plan, numbers, wording) of a story of change."""
    kind = rng.random()
    if kind < 0.45:
        line = rng.choice(TEXTS["story one sentence" if kind < 0.36 else "story unknown start"])
        return _one_change(line[0], line[2:], rng)  # a line begins with its calculation's sign
    return _events(rng)


def _one_change(
    sign: str, template: str, rng: random.Random
) -> tuple[str, str, dict[str, int], Wording]:
    one, other = (rng.randint(*rng.choice(RANGES["X"])) for _ in range(2))
    if sign == "-":
        one, other = max(one, other) + 1, min(one, other)
    numbers = {"a": one, "b": other}
    wording = Wording(rng, numbers)
    return wording.fill(template), f"p = a {sign} b", numbers, wording


def _events(rng: random.Random) -> tuple[str, str, dict[str, int], Wording]:
    """Draw a story of one to three events."""
    total = rng.randint(*rng.choice(RANGES["X"]))
    numbers, signs = {"a": total}, ""
    for name in "bcd"[: rng.choice((1, 1, 1, 2, 2, 2, 3))]:
        sign = rng.choice("+-") if total > 4 else "+"
        amount = rng.randint(2, rng.choice((9, 20, 99, 400)))
        if sign == "-":
            amount = rng.randint(1, min(amount, total - 1))
        total += amount if sign == "+" else -amount
        numbers[name], signs = amount, signs + sign
    wording = Wording(rng, numbers)
    parts = [rng.choice(TEXTS["story starts"])]
    for name, sign in zip("bcd", signs):
        event = rng.choice(TEXTS["story gains" if sign == "+" else "story losses"])
        parts.append(event.replace("{b}", f"{{{name}}}"))
    if len(signs) == 2 and rng.random() < 0.35:
        parts[1:] = [f"{parts[1].rstrip('.')} (and|, then|, and then|but) {_lowered(parts[2])}"]
    ends = ["story ends"]
    if signs[-1] == "-":
        ends.append("story ends left")
    if set(signs) == {"+"}:
        ends.append("story ends total")
    parts.append(rng.choice(TEXTS[rng.choice(ends)]))
    changes = list(zip(signs, "bcd"))
    plans = "|".join(map(_chain, permutations(changes)))
    return " ".join(map(wording.fill, parts)), plans, numbers, wording


def _chain(changes: Sequence[tuple[str, str]]) -> str:
    """Return the plan of changes one after the other."""
    rows, last = [], "a"
    for number, (sign, name) in enumerate(changes):
        rows.append(f"r{number} = {last} {sign} {name}")
        last = f"r{number}"
    return "; ".join(rows)


def _lowered(text: str) -> str:
    """Return a sentence as the second half of another."""
    return (
        text.replace("(Then|Later|After that|Next day|) ", "")
        .replace("Then ", "")
        .replace("But ", "")
    )
