"""The wording of the arithmetic stories: one table of templates per domain.

A domain is pure data. Slots: `{N}` the main character, `{P}`/`{p}` its pronoun, `{o}` the possessive, `{h}` the object
form, `{F}` a friend, `{u}` the thing counted, `{a}` one amount, `{n}` and `{m}` a number of groups and their size,
`{e}` a finished calculation such as `24 + 15 = 39`. What the events mean lives in `arithmetic.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

SHE_NAMES = (
    "Mia",
    "Anna",
    "Lily",
    "Emma",
    "Sara",
    "Nina",
    "Zoe",
    "Ruth",
    "Clara",
    "Maya",
    "Ella",
    "Rosa",
)
HE_NAMES = (
    "Tom",
    "Ben",
    "Leo",
    "Sam",
    "Max",
    "Noah",
    "Omar",
    "Paul",
    "Ivan",
    "Hugo",
    "Adam",
    "Finn",
)


@dataclass(frozen=True)
class Domain:
    """Templates of one kind of story.

    Fields:
      name: identifier.
      nouns: things that may be counted.
      subject: `person`, or the noun phrase of a place or thing ("The bus").
      openings: sentences that give the starting amount.
      gains, losses: sentences of events that add or take `{a}`.
      group_gains, group_losses: (event sentence, step text) of events that add or take `{n}` times `{m}`.
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


PERSON_FACTS = (
    "{N} is {d} years old.",
    "{o} brother is {d} years old.",
    "{o} house has {d} windows.",
)
PLACE_FACTS = ("It is {d} years old.", "It is painted in {d} colors.")
PERSON_STATES = ("Now {p} has {e} {u}.", "That makes {e} {u}.")
PLACE_STATES = ("Now it has {e} {u}.", "That makes {e} {u}.")

DOMAINS: tuple[Domain, ...] = (
    Domain(
        name="collection",
        nouns=("marbles", "stickers", "cards", "shells", "stamps", "beads", "buttons"),
        subject="person",
        openings=("{N} has {a} {u}.", "{N} starts with {a} {u}.", "{N} owns {a} {u}."),
        gains=(
            "{P} finds {a} more.",
            "{F} gives {h} {a} {u}.",
            "{P} wins {a} {u} in a game.",
            "Then {p} gets {a} more {u}.",
        ),
        losses=(
            "{P} loses {a} of them.",
            "{P} gives {a} {u} to {F}.",
            "Then {p} trades away {a} {u}.",
        ),
        group_gains=(
            ("{P} buys {n} bags of {m} {u} each.", "{P} buys {e} {u}."),
            ("{n} friends each bring {h} {m} {u}.", "The friends bring {e} {u}."),
        ),
        group_losses=(
            ("{P} gives {m} {u} to each of {n} friends.", "{P} gives away {e} {u}."),
            ("{P} sells {n} packs of {m} {u} each.", "{P} sells {e} {u}."),
        ),
        growths=(
            (2, "Then {p} doubles {o} collection."),
            (3, "Over a year {o} collection triples."),
        ),
        splits=(
            (2, "{P} gives half of {o} {u} away."),
            (0, "{P} sorts them into {k} equal boxes and keeps one box."),
        ),
        states=PERSON_STATES,
        start_remark="{P} had {a} {u} at first.",
        total_remark="So far {p} has {x} {u}.",
        facts=PERSON_FACTS,
        question="How many {u} does {N} have now?",
        sale=True,
    ),
    Domain(
        name="savings",
        nouns=("dollars",),
        subject="person",
        openings=(
            "{N} has {a} dollars.",
            "{N} has saved {a} dollars.",
            "There are {a} dollars in {N}'s piggy bank.",
        ),
        gains=(
            "{P} earns {a} dollars.",
            "{P} gets {a} dollars from {o} aunt.",
            "{F} pays {h} {a} dollars.",
        ),
        losses=(
            "{P} spends {a} dollars on a toy.",
            "{P} pays {a} dollars for lunch.",
            "Then {p} lends {F} {a} dollars.",
        ),
        group_gains=(
            ("{P} works {n} hours for {m} dollars an hour.", "{P} earns {e} dollars."),
            ("{P} washes {n} cars for {m} dollars each.", "The cars bring {e} dollars."),
        ),
        group_losses=(
            ("{P} buys {n} books for {m} dollars each.", "The books cost {e} dollars."),
            ("{P} pays for {n} tickets at {m} dollars each.", "The tickets cost {e} dollars."),
        ),
        growths=((2, "{o} father doubles {o} money."), (3, "{o} mother triples {o} money.")),
        splits=(
            (2, "{P} spends half of {o} money."),
            (0, "{P} shares the money equally among {k} people and keeps one share."),
        ),
        states=("Now {p} has {e} dollars.", "That makes {e} dollars."),
        start_remark="{P} had {a} dollars at first.",
        total_remark="So far {p} has {x} dollars.",
        facts=PERSON_FACTS,
        question="How many dollars does {N} have now?",
    ),
    Domain(
        name="bakery",
        nouns=("cookies", "muffins", "rolls", "pies", "cakes"),
        subject="The bakery",
        openings=("A bakery has {a} {u}.", "In the morning a bakery has {a} {u}."),
        gains=("The baker makes {a} more {u}.", "Then {a} fresh {u} are baked."),
        losses=("It sells {a} {u}.", "{F} buys {a} of the {u}.", "Then {a} {u} get burned."),
        group_gains=(
            ("The baker fills {n} trays with {m} {u} each.", "The trays hold {e} {u}."),
            ("It bakes {n} batches of {m} {u} each.", "It bakes {e} {u}."),
        ),
        group_losses=(
            ("It sells {n} boxes of {m} {u} each.", "It sells {e} {u}."),
            ("Each of {n} guests eats {m} {u}.", "The guests eat {e} {u}."),
        ),
        growths=(
            (2, "Then the baker doubles the number of {u}."),
            (3, "Then the baker triples the number of {u}."),
        ),
        splits=(
            (2, "By noon half of the {u} are sold."),
            (0, "The {u} are split evenly over {k} shops and it keeps one part."),
        ),
        states=PLACE_STATES,
        start_remark="It had {a} {u} at first.",
        total_remark="So far it has {x} {u}.",
        facts=("It is {d} years old.", "It opens at {d} in the morning."),
        question="How many {u} does the bakery have now?",
        sale=True,
    ),
    Domain(
        name="bus",
        nouns=("passengers", "people"),
        subject="The bus",
        openings=(
            "A bus starts with {a} {u}.",
            "There are {a} {u} on a train.",
            "A ship leaves with {a} {u}.",
        ),
        gains=("At the next stop {a} {u} get on.", "Then {a} more get on."),
        losses=("At the next stop {a} {u} get off.", "Then {a} of them get off."),
        group_gains=(
            ("At each of {n} stops {m} {u} get on.", "At the stops {e} {u} get on."),
            ("Then {n} groups of {m} {u} get on.", "The groups bring {e} {u}."),
        ),
        group_losses=(
            ("At each of {n} stops {m} {u} get off.", "At the stops {e} {u} get off."),
            ("Then {n} families of {m} {u} get off.", "The families take {e} {u}."),
        ),
        growths=(
            (2, "In the city the number of {u} doubles."),
            (3, "In the city the number of {u} triples."),
        ),
        splits=(
            (2, "At the station half of the {u} get off."),
            (0, "The {u} are split evenly over {k} cars and one car goes on."),
        ),
        states=("Now there are {e} {u}.", "That makes {e} {u}."),
        start_remark="There were {a} {u} at first.",
        total_remark="So far there are {x} {u}.",
        facts=("The ride takes {d} minutes.", "A ticket costs {d} dollars."),
        question="How many {u} are there now?",
    ),
    Domain(
        name="tank",
        nouns=("liters",),
        subject="The tank",
        openings=("A tank holds {a} liters of water.", "There are {a} liters of water in a tank."),
        gains=("Rain adds {a} liters.", "{F} pours in {a} liters."),
        losses=("A leak drains {a} liters.", "{F} takes out {a} liters."),
        group_gains=(
            ("A pump adds {m} liters an hour for {n} hours.", "The pump adds {e} liters."),
            ("{F} pours in {n} buckets of {m} liters each.", "The buckets add {e} liters."),
        ),
        group_losses=(
            ("A garden uses {m} liters a day for {n} days.", "The garden uses {e} liters."),
            ("{F} fills {n} jugs with {m} liters each.", "The jugs take {e} liters."),
        ),
        growths=((2, "A storm doubles the water."), (3, "A storm triples the water.")),
        splits=(
            (2, "Then half of the water is used."),
            (0, "The water is shared evenly by {k} tanks and this tank keeps its part."),
        ),
        states=("Now there are {e} liters.", "That makes {e} liters."),
        start_remark="There were {a} liters at first.",
        total_remark="So far there are {x} liters.",
        facts=PLACE_FACTS,
        question="How many liters are in the tank now?",
    ),
    Domain(
        name="library",
        nouns=("books", "magazines", "comics", "maps"),
        subject="The library",
        openings=("A library has {a} {u}.", "A small library opens with {a} {u}."),
        gains=("It gets {a} new {u}.", "{F} returns {a} {u}.", "A school gives it {a} {u}."),
        losses=("{F} borrows {a} {u}.", "Then {a} old {u} are thrown out."),
        group_gains=(
            ("It buys {n} boxes of {m} {u} each.", "It buys {e} {u}."),
            ("Each of {n} readers returns {m} {u}.", "The readers return {e} {u}."),
        ),
        group_losses=(
            ("Each of {n} classes borrows {m} {u}.", "The classes borrow {e} {u}."),
            ("It lends {m} {u} a day for {n} days.", "It lends {e} {u}."),
        ),
        growths=(
            (2, "A gift doubles the number of {u}."),
            (3, "A gift triples the number of {u}."),
        ),
        splits=(
            (2, "Then half of the {u} are moved away."),
            (0, "The {u} are divided evenly over {k} rooms and one room stays open."),
        ),
        states=PLACE_STATES,
        start_remark="It had {a} {u} at first.",
        total_remark="So far it has {x} {u}.",
        facts=("It is {d} years old.", "It has {d} windows."),
        question="How many {u} does the library have now?",
    ),
    Domain(
        name="farm",
        nouns=("eggs", "apples", "pears", "potatoes", "carrots", "lemons"),
        subject="person",
        openings=("{N} has {a} {u} on a farm.", "Farmer {N} has {a} {u}."),
        gains=("{P} picks {a} more {u}.", "In the barn {p} finds {a} {u}."),
        losses=("{P} drops {a} {u}.", "{F} eats {a} of them.", "Then {p} uses {a} {u} for lunch."),
        group_gains=(
            ("{P} fills {n} baskets with {m} {u} each.", "The baskets hold {e} {u}."),
            ("{P} picks {m} {u} a day for {n} days.", "{P} picks {e} {u}."),
        ),
        group_losses=(
            ("{P} sells {n} crates of {m} {u} each.", "{P} sells {e} {u}."),
            ("{P} brings {m} {u} to each of {n} neighbors.", "The neighbors get {e} {u}."),
        ),
        growths=((2, "A good week doubles {o} {u}."), (3, "A good month triples {o} {u}.")),
        splits=(
            (2, "Half of the {u} go bad."),
            (0, "{P} packs them evenly in {k} carts and keeps one cart."),
        ),
        states=PERSON_STATES,
        start_remark="{P} had {a} {u} at first.",
        total_remark="So far {p} has {x} {u}.",
        facts=("The farm is {d} years old.", "{P} has {d} cows."),
        question="How many {u} does {N} have now?",
        sale=True,
    ),
    Domain(
        name="game",
        nouns=("points",),
        subject="person",
        openings=("{N} plays a game and has {a} points.", "In a game {N} begins with {a} points."),
        gains=("{P} scores {a} points.", "A bonus brings {a} points."),
        losses=("{P} loses {a} points.", "A mistake costs {a} points."),
        group_gains=(
            ("{P} wins {n} rounds worth {m} points each.", "The rounds bring {e} points."),
            ("{P} finds {n} stars worth {m} points each.", "The stars bring {e} points."),
        ),
        group_losses=(
            ("{P} makes {n} errors that cost {m} points each.", "The errors cost {e} points."),
            ("{P} buys {n} hints for {m} points each.", "The hints cost {e} points."),
        ),
        growths=((2, "A lucky card doubles {o} points."), (3, "A magic card triples {o} points.")),
        splits=(
            (2, "A trap takes half of {o} points."),
            (0, "The points are divided evenly among {k} players and {p} keeps one part."),
        ),
        states=("Now {p} has {e} points.", "That makes {e} points."),
        start_remark="{P} had {a} points at first.",
        total_remark="So far {p} has {x} points.",
        facts=("{N} is {d} years old.", "The game lasts {d} minutes."),
        question="How many points does {N} have now?",
    ),
    Domain(
        name="school",
        nouns=("pencils", "crayons", "notebooks", "erasers"),
        subject="The school",
        openings=("A school has {a} {u}.", "A class begins the year with {a} {u}."),
        gains=("A parent brings {a} {u}.", "The teacher buys {a} more."),
        losses=("The children lose {a} {u}.", "{F} takes {a} of the {u}."),
        group_gains=(
            ("The teacher orders {n} packs of {m} {u} each.", "The packs hold {e} {u}."),
            ("Each of {n} parents brings {m} {u}.", "The parents bring {e} {u}."),
        ),
        group_losses=(
            ("Each of {n} children uses {m} {u}.", "The children use {e} {u}."),
            ("It gives {m} {u} to each of {n} teams.", "The teams get {e} {u}."),
        ),
        growths=((2, "A gift doubles the {u}."), (3, "A gift triples the {u}.")),
        splits=(
            (2, "By spring half of the {u} are gone."),
            (0, "The {u} are put evenly in {k} drawers and one drawer is left."),
        ),
        states=PLACE_STATES,
        start_remark="It had {a} {u} at first.",
        total_remark="So far it has {x} {u}.",
        facts=("It has {d} rooms.", "The lesson lasts {d} minutes."),
        question="How many {u} does it have now?",
    ),
    Domain(
        name="parking",
        nouns=("cars", "bikes", "trucks", "boats"),
        subject="The place",
        openings=("There are {a} {u} in a city garage.", "A harbor hall holds {a} {u}."),
        gains=("In the morning {a} {u} come in.", "Then {a} more come in."),
        losses=("At noon {a} {u} leave.", "Then {a} of them leave."),
        group_gains=(
            ("Each hour {m} {u} come in for {n} hours.", "In that time {e} {u} come in."),
            ("Then {n} rows are filled with {m} {u} each.", "The rows hold {e} {u}."),
        ),
        group_losses=(
            ("Each hour {m} {u} leave for {n} hours.", "In that time {e} {u} leave."),
            ("Then {n} rows of {m} {u} each are cleared.", "The rows held {e} {u}."),
        ),
        growths=(
            (2, "For a show the number of {u} doubles."),
            (3, "For a show the number of {u} triples."),
        ),
        splits=(
            (2, "In the evening half of the {u} leave."),
            (0, "The {u} are spread evenly over {k} floors and one floor is counted."),
        ),
        states=("Now there are {e} {u}.", "That makes {e} {u}."),
        start_remark="There were {a} {u} at first.",
        total_remark="So far there are {x} {u}.",
        facts=("An hour costs {d} dollars.", "It was built {d} years ago."),
        question="How many {u} are there now?",
    ),
)
