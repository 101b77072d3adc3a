"""Stories of change: a beginning, one to three events, and a question about the end or the beginning."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import permutations

from stepnav.tasks.plain.relation import RANGES
from stepnav.tasks.plain.wording import Wording

_STARTS = (
    "{N} {has} {a} {u}.", "{N} had {a} {u}.", "{N} start{s} with {a} {u}.", "{N} own{s} {a} {u}.", "There are {a} {u} {L}.",
    "There were {a} {u} {L}.", "(A|The) {job} has {a} {u}.", "{N} (bought|made|picked|found|collected|got|counted|baked) {a} {u}.",
    "(A|The) {c1} (has|holds|contains|had) {a} {u}.", "{a} {u} are {L}.", "{a} {u} were {L}.", "{N} (began|started) with {a} {u}.",
    "{N} {has} a {c1} (with|of) {a} {u}.", "In the {c1} there are {a} {u}.", "{N} collected {a} {u} so far.", "We see {a} {u} {L}.",
    "(This|On {day}|In the|Yesterday) morning there were {a} {u} {L}.", "{N} {was} given {a} {u}.", "{N} keep{s} {a} {u} {L}.",
    "A {color} {c1} (holds|held) {a} {u}.", "{N} {has} {a} {color} {u}.", "{N} saw {a} {u} {L}.",
)  # fmt: skip
_GAINS = (
    "{F} gives {him} {b} more.", "{F} gave {him} {b} (more|{u}|more {u}).", "(Then|Later|After that|Next day|) {he} (bought|got|found|received|won|made|picked|borrowed|earned) {b} (more|more {u}|{u}|new {u}).",
    "{b} more (come|came|arrive|arrived|join|joined|are added|were added|appear|turned up|were delivered|show up).", "Then {b} more {u} (came|arrive|are added|were put in|joined them).",
    "{He} (find{s}|buy{s}|get{s}|win{s}|make{s}|receive{s}|pick{s}|earn{s}|collect{s}) {b} (more|more {u}|{u}|other {u}).", "On {day} {he} got (another {b}|{b} more|{b} new ones).",
    "{F} (adds|added|brings|brought|sent|sends) {b} (more|{u}|others|more {u}).", "{He} put{s} {b} more (in|there|{L}).", "Another {b} (come|came|were found|arrived|get in).",
    "{b} (new|other|extra) {u} (came|were bought|grew|are put in|arrive).", "{He} also {has} {b} {color} ones.", "(A friend|Someone|A neighbor|A man|{F}) (left|dropped off|handed over) {b} more.",
)  # fmt: skip
_LOSSES = (
    "{He} (give{s}|gave) {b} (of them|{u}|) to {F}.", "{He} (lose{s}|lost|eat{s}|ate|sell{s}|sold|use{s}|used|broke|threw away|dropped|spent) {b} (of them|{u}|of the {u}|).",
    "{F} (takes|took|ate|eats|stole|borrowed|wants) {b} (of them|{u}|).", "{b} (of them|{u}|) (break|broke|fall off|fell|went away|leave|left|go home|went home|fly away|flew away|died|were sold|are sold|were eaten|melted|sank|ran away|got lost|were taken|walked off|popped up and left).",
    "Then {b} (of them|{u}|) (go away|left|disappeared|were stolen|are removed|got off|moved away|were gone).", "{He} (donated|traded|mailed|returned|hid|gave away|handed out|burned|lent {F}|sent {F}) {b} (of them|{u}|).",
    "(The dog|The wind|A bird|His cat|The rain|Someone) (ate|took|broke|blew away|carried off|ruined) {b} (of them|{u}|).", "{b} (of them|) (were|are) (bad|broken|rotten|thrown away|used up|missing|given away).",
    "On {day} {he} (used|ate|sold|lost) {b} (of them|).", "{He} take{s} {b} (out|away|of them to school|with {him}).", "But {b} (of them|) (fell|were bad|broke|left early|got away).",
)  # fmt: skip
_ENDS = (
    "How many {u} (are there|does that make|are there now|are left|are there in the end)?", "How many {u} {does} {he} have (now|left|in the end|at the end|today|)?", "How many (are there now|are left|remain|does {he} have)?",
    "How many {u} (are still there|remain|are there)?", "(What|How much) is the number of {u} (now|in the end)?", "How many {u} {does} {N} have (now|in the end|left|)?", "How many {does} {he} have (now|left|)?",
    "How many {u} (will be there|will there be|are there at the end)?", "Now how many {u} are there?",
)  # fmt: skip

_ENDS_LEFT = (
    "How many {u} are left?", "How many are left?", "How many {u} remain?", "How many {does} {he} have left?", "How many {u} {does} {he} still have?",
    "How many {u} {does} {N} have left?", "How many (are|were) (still there|not gone|left over|remaining)?", "How many {u} (are|were) left (over|in the end|{L}|)?", "How many {u} {does} {he} have now?",
)  # fmt: skip
_ENDS_TOTAL = (
    "How many {u} (are there|is that) (in all|altogether|in total|now)?", "How many {u} {does} {he} have (in all|altogether|in total|now)?", "What is the total (number of {u}|)?",
    "How many {u} {does} {N} have (in all|altogether|in total|now|all together)?", "How many (is that|are there) (in all|altogether|in total|now)?",
)  # fmt: skip

_ONE_SENTENCE = (
    ("-", "{N} {has} {a} {u} and (give{s} away|lose{s}|eat{s}|sell{s}|use{s}) {b} (of them|). How many (|{u}) (are left|{does} {he} have left|remain)?"),
    ("-", "If {N} {has} {a} {u} and (give{s} {F}|lose{s}|eat{s}|sell{s}) {b}, how many (|{u}) (are left|{does} {he} have left|will {he} have)?"),
    ("-", "{N} had {a} {u} (but|and) (lost|ate|sold|broke|gave away|used|dropped) {b}. How many (|{u}) (are left|{does} {he} have (left|now)|remain)?"),
    ("-", "{b} of (the|{his}) {a} {u} (are|were) (broken|sold|{color}|eaten|gone|bad|missing|asleep|ripe). How many (are not|are left|were not|others are there)?"),
    ("-", "(Of|Out of) {a} {u}, {b} (are|were) (broken|sold|{color}|eaten|gone|bad). How many (are not|are left|remain|are still good)?"),
    ("-", "(There are|There were|We had|A {job} had) {a} {u} {L}. If {b} (leave|are taken|go away|are sold|are removed), how many (are left|remain|are there then|stay)?"),
    ("-", "There are {a} {u} (in all|altogether|). {b} (are|of them are) {color} (and the rest are {shade}|). How many are (not {color}|{shade})?"),
    ("-", "{N} {has} {a} {u}. {b} (are|of them are) {color}, the (rest|others) {shade}. How many are {shade}?"),
    ("-", "How many {u} are left (if|when) {N} (take{s}|eat{s}|remove{s}|sell{s}) {b} (of|from) {a} (|{u})?"),
    ("-", "{N} need{s} {a} {u} and {has} (already|) {b}. How many (more|) {does} {he} need?"),
    ("-", "After {N} (gave away|sold|ate|lost) {b} of {his} {a} {u}, how many (are left|{does} {he} have|were left)?"),
    ("-", "{a} {u} minus {b} {u} (are|is) how many?"),
    ("-", "(There are|A team has|A class has) {a} (people|students|players). {b} are (girls|sick|new|adults). How many are (not|boys|others|children)?"),
    ("+", "{N} {has} {a} {u} and (get{s}|buy{s}|find{s}|win{s}|got|found|bought) {b} (more|more {u}|{u}). How many (|{u}) (is that|{does} {he} have (now|)|are there)?"),
    ("+", "If {N} {has} {a} {u} and {F} (gives {him}|brings|adds) {b} more, how many (|{u}) (are there|{does} {he} have|will {he} have)?"),
    ("+", "{N} {has} {a} {u} and {b} {v}. How many (things|items|) (is that|are there|{does} {he} have) (in all|altogether|in total|)?"),
    ("+", "There are {a} {color} {u} and {b} {shade} (ones|{u}). How many (|{u}) (are there|is that) (in all|altogether|in total|)?"),
    ("+", "{N} {has} {a} {u} and {F} {Fhas} {b} (|{u}). How many (|{u}) do they have (in all|altogether|together|in total)?"),
    ("+", "{N} {has} {a} {u}. {F} {Fhas} {b} (|{u}). How many (|{u}) do (they|both|the two) have (in all|altogether|together|in total)?"),
    ("+", "(There are|I see|We saw) {a} {u} {L} and {b} {u} (outside|in the {c1}|upstairs|nearby). How many (|{u}) (are there|is that) (in all|altogether|in total)?"),
    ("+", "{N} (ate|read|made|sold|picked|found|caught|counted) {a} {u} on {day} and {b} on {later}. How many (is that|did {he} (eat|make|sell|pick|find)) (in all|altogether|in total|)?"),
    ("+", "{N} (ate|read|made|sold|picked|used) {a} {u} (yesterday|in the morning|first) and {b} (today|in the evening|then). How many (|{u}) (is that|was that|did {he} (use|make|sell)) (in all|altogether|in total|)?"),
    ("+", "How many {u} (are|is) {a} {u} and {b} {u} (together|)?"),
    ("+", "(A|The) {job} has {a} {u} and {b} {v}. How many (are there|is that|animals or things are there) (in all|altogether|in total|)?"),
    ("+", "{a} (boys|girls|adults|cars) and {b} (girls|women|children|bikes) (came|are here|were there|ride along|take part). How many (is that|are there|were there|people or things) (in all|altogether|in total)?"),
    ("+", "It (is|was) {a} degrees (|in the morning|outside|yesterday). (Then|By noon|Later|Today) it (gets|got|is|was) {b} degrees (warmer|hotter|higher). (What is|How high is) the temperature (now|then|)?"),
    ("-", "It (is|was) {a} degrees (|in the morning|outside|yesterday). (Then|By night|Later|Today) it (gets|got|is|was) {b} degrees (colder|cooler|lower). (What is|How high is) the temperature (now|then|)?"),
    ("-", "(The|{his}) (temperature|price|weight|battery|level|score) (was|went down from|fell from|dropped from) {a} (to|and is now|and now is) {b}. (How much did it (fall|drop|go down)|What is the difference|By how much did it fall)?"),
)  # fmt: skip

_UNKNOWN_START = (
    ("+", "{N} (gave|gives) {b} {u} to {F} and {has} {a} left. How many (|{u}) did {he} have (before|at first|to begin with)?"),
    ("+", "{N} had some {u}. {He} (lost|ate|sold|gave away|used) {b} and now {has} {a}. How many (|{u}) did {he} have (before|at first|at the start)?"),
    ("+", "After (losing|selling|eating|using) {b} {u}, {N} {has} {a} (|left). How many (|{u}) did {he} (have|own) (before|at first|to start with)?"),
    ("-", "{N} had some {u}. {He} (got|found|bought|won) {b} more and now {has} {a}. How many (|{u}) did {he} have (before|at first|at the start)?"),
    ("-", "{F} (gave|gives) {N} {b} {u}. Now {he} {has} {a}. How many (|{u}) did {he} have (before|at first|to begin with)?"),
    ("-", "{N} had {b} {u}. {F} gave {him} some more, and now {he} {has} {a}. How many did {F} give {him}?"),
    ("-", "{N} had {a} {u}. {He} (lost|sold|ate|gave away) some and now {has} {b}. How many did {he} (lose|sell|eat|give away)?"),
    ("-", "There were {a} {u} {L}. (Some|A few) (left|were taken|flew away|were sold). Now there are {b}. How many (left|are gone|were taken|went away)?"),
)  # fmt: skip


def draw_story(rng: random.Random) -> tuple[str, str, dict[str, int], Wording]:
    """Return (question without capitals, plan, numbers, wording) of a story of change."""
    kind = rng.random()
    if kind < 0.45:
        table = _ONE_SENTENCE if kind < 0.36 else _UNKNOWN_START
        sign, template = rng.choice(table)
        return _one_change(sign, template, rng)
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
    parts = [rng.choice(_STARTS)]
    for name, sign in zip("bcd", signs):
        event = rng.choice(_GAINS if sign == "+" else _LOSSES)
        parts.append(event.replace("{b}", f"{{{name}}}"))
    if len(signs) == 2 and rng.random() < 0.35:
        parts[1:] = [f"{parts[1].rstrip('.')} (and|, then|, and then|but) {_lowered(parts[2])}"]
    ends: list[tuple[str, ...]] = [_ENDS]
    if signs[-1] == "-":
        ends.append(_ENDS_LEFT)
    if set(signs) == {"+"}:
        ends.append(_ENDS_TOTAL)
    parts.append(rng.choice(rng.choice(ends)))
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
