"""The words that plain questions are filled with: people, things, containers, places, and made-up words.

A model that meets thousands of nouns, a part of them made up, learns that they do not matter.
"""

from __future__ import annotations

import random
from dataclasses import dataclass


def _table(text: str) -> list[str]:
    """Return the entries of a table: its lines' words, or what stands between bars."""
    return text.strip().replace("\n", "|").split("|") if "|" in text else text.split()


SHE = _table("""
Mia Anna Lily Emma Sara Nina Zoe Ruth Clara Maya Ella Rosa Julia Lena Kim Tina Lucy Eva Dana Ivy Rita Jenny Sofia
Olivia Ava Grace Chloe Hannah Alice Amy Beth Carla Diana Elena Fatima Gina Helen Irene Jane Karen Laura Maria Nora
Paula Rachel Sally Tara Uma Vera Wendy Yara Priya Aisha Mei Ingrid Leah Molly Naomi Kate Joan Bella Daisy Susan
Mary Linda Betty Megan Abby Jill Emily Kelly Stella Violet Hazel Layla Camila
""")
HE = _table("""
Tom Ben Leo Sam Max Noah Omar Paul Ivan Hugo Adam Finn Marco Carl Will Zack Eli Jack James John Robert Mike David
Daniel Peter Mark Luke Josh Ryan Kevin Brian Eric Alan Oscar Felix Victor Henry George Frank Tim Jim Joe Bob Bill
Dan Ken Ali Raj Chen Diego Pedro Juan Luis Mateo Ahmed Yusuf Hiro Kai Ravi Nick Alex Jake Ethan Liam Mason Lucas
Owen Caleb Dylan Toby Simon Ted Greg Steve Charlie Andy
""")
SHE_PEOPLE = _table("""
my mom|my mother|Mom|my sister|my aunt|my grandma|Grandma|Mrs. Lee|Ms. Carter|Mrs. Patel|the teacher|a teacher|my wife
the baker|a nurse|my daughter|a girl|the queen|my neighbor|the librarian|a dancer|Aunt May|the waitress|a student
""")
HE_PEOPLE = _table("""
my dad|my father|Dad|my brother|my uncle|my grandpa|Grandpa|Mr. Smith|Mr. Brown|Mr. Garcia|the farmer|a farmer|my son
the gardener|a boy|a man|my cousin|the coach|a carpenter|the chef|a painter|Uncle Joe|my friend|the shopkeeper|a driver
""")
THEY_PEOPLE = _table("""
my parents|the twins|the children|the kids|the students|my friends|the Browns|my neighbors|the players|the workers
""")

THINGS = _table("""
apple orange banana pear peach plum lemon mango melon grape cookie muffin cupcake donut bagel roll sandwich burger
candy:candies cherry:cherries berry:berries strawberry:strawberries peanut egg potato:potatoes tomato:tomatoes carrot
onion pepper pumpkin marble sticker card stamp shell bead button coin book comic magazine notebook pencil pen crayon
marker eraser ruler paintbrush:paintbrushes toy doll ball balloon kite puzzle car truck bike train boat robot block
brick plate cup glass:glasses spoon fork knife:knives bowl bottle can jar napkin candle flower rose tulip daisy:daisies
plant tree seed leaf:leaves branch:branches bush:bushes rock stone stick feather bird duck hen chicken goose:geese cow
sheep:sheep goat pig horse dog cat rabbit mouse:mice fish:fish frog turtle snail bee ant spider butterfly:butterflies
shirt sock hat scarf:scarves glove shoe dress:dresses jacket sweater coat tie belt ring necklace bracelet photo picture
painting poster letter postcard envelope ticket chair table desk lamp pillow blanket towel brush:brushes key lock nail
screw hammer tile window door wheel tire battery:batteries bulb game movie song medal trophy:trophies ribbon badge
sandcastle snowman:snowmen pancake waffle pizza slice cracker pretzel chip lollipop chocolate brownie pie cake loaf:loaves
student pupil child:children kid boy girl player guest visitor passenger worker person:people soldier dancer teacher
mushroom pebble acorn pinecone blueberry:blueberries raspberry:raspberries walnut almond bean radish:radishes lettuce
magnet sponge soap:soaps straw whistle drum flute violin gem jewel diamond crystal flag map ladder bucket shovel rope
fan clock watch:watches phone camera tablet cable plug vase basket purse wallet backpack suitcase umbrella helmet
skate sled raft canoe tent lantern log board panel pipe bolt patch:patches quilt bear dinosaur dragon
""")
CONTAINERS = _table("""
box:boxes bag basket jar crate carton pack packet tray shelf:shelves case bowl plate bucket bin drawer sack folder
album page row table tank cage truck van wagon bus:buses boat car team group class:classes room house tent bundle
bunch:bunches pile stack set sheet roll can tin chest cart pocket envelope backpack lunchbox:lunchboxes bottle barrel
tree bush:bushes branch:branches vase necklace shirt desk bench:benches cabin floor pen field garden pond nest
""")
PLACES = _table("""
on the shelf|in the garden|in the box|at the park|in the room|on the table|in the pond|at the party|on the farm|in a jar
in the basket|at school|at the zoo|in the kitchen|on the bus|on a tree|in the classroom|at the store|in the drawer
on the plate|in the library|in the yard|at the beach|in a field|on the train|in the museum|in the parking lot|in the bag
in town|on the wall|in the barn|in the cage|on the playground|in the fridge|at home|in the office|on the boat|in the pool
""")
COLORS = _table(
    "red blue green yellow white black pink purple orange brown gray small big old new round"
)
DAYS = _table("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
JOBS = _table("shop bakery factory school library zoo farm hotel museum restaurant company club")
BUYABLE = _table("""
book shirt ticket toy pen notebook ball hat game sandwich pizza burger cake cookie drink coffee tea juice apple melon
kite doll puzzle card magazine mug lamp plant rose candle scarf belt ring watch bag chair pillow blanket meal lunch
""")

DRINKS = _table("water milk juice paint oil soup lemonade tea coffee gas sand rice flour sugar")

_STARTS = _table(
    "b bl br c ch cl d dr f fl fr g gl gr h j k l m n p pl pr qu r s sh sk sl sn sp st t tr v w y z"
)
_MIDDLES = _table("a e i o u ee oo ai ou ea")
_ENDS = _table(
    "b ck d ff g l m n nd nk p rk rt sp st t x zz ng lo do bit let zor ple gle mer bin rin"
)


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
    return "".join(rng.choice(_STARTS) + rng.choice(_MIDDLES) for _ in range(parts)) + rng.choice(
        _ENDS
    )


def noun(rng: random.Random, table: list[str], made_up_prob: float = 0.15) -> Thing:
    """Return a noun of a table, or now and then one that means nothing."""
    word = made_up(rng) if rng.random() < made_up_prob else rng.choice(table)
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
        return Person(rng.choice(THEY_PEOPLE), "they", "their", "them", True)
    is_she = rng.random() < 0.5
    if kind < 0.47:
        name = rng.choice(SHE_PEOPLE if is_she else HE_PEOPLE)
    elif kind < 0.57:
        name = made_up(rng).capitalize()
    else:
        name = rng.choice(SHE if is_she else HE)
    return Person(name, *(("she", "her", "her") if is_she else ("he", "his", "him")))
