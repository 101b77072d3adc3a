"""Draws the stories of the arithmetic task: what happens, and every text that tells it rightly."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from operator import add, floordiv, mul, sub

from stepnav.tasks.arithmetic.domains import DOMAINS, HE_NAMES, SHE_NAMES, Domain

MIN_CALCULATIONS = 3
MAX_CALCULATIONS = 8
MAX_TOTAL = 500
MAX_GROWN = 150
"""Totals above this are not doubled or tripled."""
SIGNS: Mapping[str, Callable[[int, int], int]] = {"+": add, "-": sub, "*": mul, "/": floordiv}
FACT_PROB = 0.35
ENDING_PROB = 0.35


@dataclass(frozen=True, slots=True)
class Event:
    """One change of the total.

    Attributes:
      sentence: how the question tells it.
      products: right texts of its multiplication, the reference first; empty when it needs none.
      states: right texts of the new total; the first `num_wordings` may stand in a reference.
      num_wordings: how many of `states` differ in more than the order of the operands.
      remark: a true, unneeded remark about the total after it; empty when there is none.
      total: the amount after it.
    """

    sentence: str
    products: tuple[str, ...]
    states: tuple[str, ...]
    num_wordings: int
    remark: str
    total: int


@dataclass(frozen=True, slots=True)
class Story:
    """The structure behind one question.

    Attributes:
      question: the whole question, one line.
      events: what happens, in order.
      remarks: true, unneeded remarks that may stand anywhere.
    """

    question: str
    events: tuple[Event, ...]
    remarks: tuple[str, ...]

    @property
    def answer(self) -> int:
        """The total after the last event."""
        return self.events[-1].total


def tell_story(rng: random.Random) -> Story:
    """Return a story drawn from `rng`, which is consumed."""
    return _Teller(rng).tell()


def capitalize(text: str) -> str:
    """Return the text with its first letter in upper case and the rest untouched."""
    return text[:1].upper() + text[1:]


def equations(left: int, sign: str, right: int) -> tuple[str, ...]:
    """Return the right ways to write a calculation; only sums and products may be turned round."""
    result = SIGNS[sign](left, right)
    texts = (f"{left} {sign} {right} = {result}", f"{right} {sign} {left} = {result}")
    return texts if sign in "+*" and left != right else texts[:1]


class _Teller:
    """Draws one story; holds the words that stay the same through it and the total so far."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.domain: Domain = rng.choice(DOMAINS)
        is_she = rng.random() < 0.5
        name = rng.choice(SHE_NAMES if is_she else HE_NAMES)
        friend = rng.choice([other for other in SHE_NAMES + HE_NAMES if other != name])
        pronouns = ("she", "her", "her") if is_she else ("he", "his", "him")
        self.words: dict[str, object] = {
            "N": name,
            "F": friend,
            "u": rng.choice(self.domain.nouns),
            "p": pronouns[0],
            "P": pronouns[0],
            "o": pronouns[1],
            "h": pronouns[2],
        }
        self.total = rng.randint(10, 99)

    def fill(self, template: str, **slots: object) -> str:
        """Return the template with its slots filled and a capital at its start."""
        return capitalize(template.format(**self.words, **slots))

    def tell(self) -> Story:
        """Draw everything, in the order in which it is told."""
        rng, domain = self.rng, self.domain
        sentences = [self.fill(rng.choice(domain.openings), a=self.total)]
        remarks = [self.fill(domain.start_remark, a=self.total)]
        if rng.random() < FACT_PROB:
            fact = self.fill(rng.choice(domain.facts), d=rng.randint(2, 40))
            sentences.append(fact)
            remarks.append(fact)
        events = self.events(rng.randint(MIN_CALCULATIONS, MAX_CALCULATIONS))
        sentences += [event.sentence for event in events]
        return Story(" ".join(sentences), tuple(events), tuple(remarks))

    def events(self, num_calculations: int) -> list[Event]:
        """Draw events that need exactly `num_calculations`; the last one holds the question."""
        ending = self.draw_ending()
        left = num_calculations - {"sale": 1, "pair": 2, "": 0}[ending]
        events: list[Event] = []
        while left > 0:
            event = self.draw_event(may_multiply=left >= 2)
            left -= 2 if event.products else 1
            events.append(event)
        if ending == "sale":
            events.append(self.sale())
        elif ending == "pair":
            events.append(self.pair())
        else:
            events[-1] = self.ask(events[-1])
        return events

    def ask(self, event: Event) -> Event:
        """Return the event with the plain closing question after it."""
        return replace(event, sentence=f"{event.sentence} {self.fill(self.domain.question)}")

    def draw_ending(self) -> str:
        """Return "sale", "pair" or an empty string for the plain question."""
        if self.rng.random() >= ENDING_PROB:
            return ""
        endings = ["sale"] if self.domain.sale else []
        if self.domain.subject == "person":
            endings.append("pair")
        return self.rng.choice(endings) if endings else ""

    def draw_event(self, *, may_multiply: bool) -> Event:
        """Draw the next event among those that keep the total a small natural number."""
        total, rng = self.total, self.rng
        kinds = [self.gain] * 3 if total < MAX_TOTAL - 100 else []
        kinds += [self.loss] * 3 if total >= 5 else []
        if may_multiply:
            kinds += [self.group_gain] * 4 if total < MAX_TOTAL - 100 else []
            kinds += [self.group_loss] * 4 if total >= 12 else []
        kinds += [self.growth] if 5 <= total <= MAX_GROWN else []
        kinds += [self.split] if self.divisors() else []
        return rng.choice(kinds)()

    def divisors(self) -> list[int]:
        """Return the small numbers by which the total can be divided exactly."""
        return [k for k in range(2, 10) if self.total % k == 0 and self.total // k >= 3]

    def gain(self) -> Event:
        amount = self.rng.randint(2, 99)
        sentence = self.fill(self.rng.choice(self.domain.gains), a=amount)
        return self.change(sentence, "+", amount)

    def loss(self) -> Event:
        amount = self.rng.randint(2, min(99, self.total - 2))
        sentence = self.fill(self.rng.choice(self.domain.losses), a=amount)
        return self.change(sentence, "-", amount)

    def group_gain(self) -> Event:
        groups, size = self.rng.randint(2, 9), self.rng.randint(2, 12)
        sentence, step = self.rng.choice(self.domain.group_gains)
        return self.grouped(sentence, step, "+", groups, size)

    def group_loss(self) -> Event:
        limit = self.total - 2
        groups = self.rng.randint(2, min(9, limit // 2))
        size = self.rng.randint(2, min(12, limit // groups))
        sentence, step = self.rng.choice(self.domain.group_losses)
        return self.grouped(sentence, step, "-", groups, size)

    def growth(self) -> Event:
        factor, sentence = self.rng.choice(self.domain.growths)
        return self.change(self.fill(sentence), "*", factor)

    def split(self) -> Event:
        divisors = self.divisors()
        if 2 in divisors and self.rng.random() < 0.5:
            return self.change(self.fill(self.domain.splits[0][1]), "/", 2)
        divisor = self.rng.choice(divisors)
        return self.change(self.fill(self.domain.splits[1][1], k=divisor), "/", divisor)

    def sale(self) -> Event:
        """End the story: all that is left is sold at one price."""
        price = self.rng.randint(2, 9 if self.total < 100 else 3)
        seller = "it" if self.domain.subject != "person" else str(self.words["p"])
        self.words["u"] = "dollars"
        sentence = (
            f"{capitalize(seller)} sells all of them for {price} dollars each. How many dollars "
            f"does {seller} get?"
        )
        return self.change(
            sentence, "*", price, states=(f"{capitalize(seller)} gets {{e}} dollars.",), remark=""
        )

    def pair(self) -> Event:
        """End the story: a friend has a multiple, and the question asks for both together."""
        factor, word = self.rng.choice(((2, "twice"), (3, "three times"), (4, "four times")))
        sentence = self.fill(
            "{F} has {w} as many {u} as {N}. How many {u} do they have together?", w=word
        )
        share = self.total * factor
        products = self.calculations("{F} has {e} {u}.", self.total, "*", factor)
        return self.change(
            sentence,
            "+",
            share,
            products=products,
            states=("Together they have {e} {u}.",),
            remark="",
        )

    def grouped(self, sentence: str, step: str, sign: str, groups: int, size: int) -> Event:
        """Return an event of `groups` times `size`, which is multiplied first."""
        products = self.calculations(step, groups, "*", size)
        return self.change(
            self.fill(sentence, n=groups, m=size), sign, groups * size, products=products
        )

    def calculations(self, template: str, left: int, sign: str, right: int) -> tuple[str, ...]:
        """Return every right text of one calculation in one wording, the reference first."""
        return tuple(self.fill(template, e=text) for text in equations(left, sign, right))

    def change(
        self,
        sentence: str,
        sign: str,
        amount: int,
        *,
        products: tuple[str, ...] = (),
        states: tuple[str, ...] | None = None,
        remark: str | None = None,
    ) -> Event:
        """Return the event that changes the total, and change it."""
        wordings = self.domain.states if states is None else states
        texts = [self.calculations(wording, self.total, sign, amount) for wording in wordings]
        ordered = [forms[0] for forms in texts] + [form for forms in texts for form in forms[1:]]
        self.total = SIGNS[sign](self.total, amount)
        said = self.fill(self.domain.total_remark, x=self.total) if remark is None else remark
        return Event(sentence, products, tuple(ordered), len(wordings), said, self.total)
