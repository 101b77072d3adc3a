"""The parts that small Python functions are composed of: code beside every way to say it.

Slots: `{v}` the loop variable, `{k}` a constant of the part, `{each}` the thing that is changed
("each" or some of them), `{ones}` a group named by a condition. Which parts go together stands in
`kinds.py`, how in `specs.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

Constants = tuple[object, ...]
SMALL: Constants = (2, 3, 4, 5, 6, 7, 8, 9)
LARGE: Constants = (10, 12, 15, 20, 25, 30, 40, 50)
ANY: Constants = SMALL + LARGE
LETTERS: Constants = tuple("abdeilnorst")


@dataclass(frozen=True, slots=True)
class Condition:
    """A test of the loop variable.

    Attributes:
      code, inverse: the test, and its opposite in the style in which it is written.
      ones: ways to name the things that pass it.
      constants: what `{k}` may be; empty where there is no slot.
    """

    code: str
    inverse: str
    ones: tuple[str, ...]
    constants: Constants = ()


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the loop variable.

    Attributes:
      code: the statement.
      value: the new value, for conditional expressions; empty where it is not used in one.
      says: ways to say it.
      constants: what `{k}` may be.
    """

    code: str
    value: str
    says: tuple[str, ...]
    constants: Constants = ()


@dataclass(frozen=True, slots=True)
class Head:
    """What is looped over.

    Attributes:
      lines: the loop's header and what must stand at the start of its body, indented.
      says: ways to say it.
      constants: what `{k}` may be.
    """

    lines: tuple[str, ...]
    says: tuple[str, ...]
    constants: Constants = ()


@dataclass(frozen=True, slots=True)
class Ending:
    """A change of the result when it is returned.

    Attributes:
      code: the returned expression; `{r}` is the result.
      says: ways to say it, as a clause of its own.
      constants: what `{k}` may be.
    """

    code: str
    says: tuple[str, ...]
    constants: Constants = ()


@dataclass(frozen=True, slots=True)
class Fold:
    """How what is left becomes the result.

    Attributes:
      start, step: the statement before the loop, and the one in it.
      result: the result as an expression.
      nouns: ways to name the result.
      endings: how the result may be changed.
    """

    start: str
    step: str
    result: str
    nouns: tuple[str, ...]
    endings: tuple[Ending, ...]


NUMBER_ENDINGS = (
    Ending("{r} + {k}", ("returns it plus {k}", "returns {k} more than that"), SMALL),
    Ending("{r} - {k}", ("returns it minus {k}", "returns {k} less than that"), SMALL),
    Ending("{r} * {k}", ("returns it times {k}", "returns {k} times that"), SMALL),
    Ending("{r} % {k}", ("returns it modulo {k}", "returns its remainder by {k}"), SMALL),
    Ending("{k} - {r}", ("returns {k} minus that", "returns what is missing to {k}"), LARGE),
)
LIST_ENDINGS = (
    Ending("sorted({r})", ("returns it sorted", "returns it in ascending order")),
    Ending("{r}[::-1]", ("returns it reversed", "returns it in reverse order")),
    Ending(
        "{r}[:{k}]", ("returns its first {k} items", "returns only the first {k} items"), (2, 3, 4)
    ),
    Ending(
        "{r}[-{k}:]", ("returns its last {k} items", "returns only the last {k} items"), (2, 3, 4)
    ),
)
TEXT_ENDINGS = (
    Ending("{r}[::-1]", ("returns it reversed", "returns it in reverse order")),
    Ending("{r}[:{k}]", ("returns its first {k} characters",), (2, 3, 4, 5)),
    Ending("{r}.upper()", ("returns it in upper case", "returns it in capitals")),
    Ending("{r} + '!'", ("returns it with an exclamation mark at the end",)),
)
COUNT = Fold(
    "count = 0", "count += 1", "count", ("how many there are", "their number"), NUMBER_ENDINGS
)
LIST = Fold(
    "kept = []", "kept.append({v})", "kept", ("the list of them", "them as a list"), LIST_ENDINGS
)
DISTINCT = Fold(
    "seen = set()",
    "seen.add({v})",
    "len(seen)",
    ("how many different ones there are", "the number of different values"),
    NUMBER_ENDINGS,
)

NUMBER_CONDITIONS = (
    Condition("{v} % 2 == 0", "{v} % 2 == 1", ("the even ones", "those that are even")),
    Condition("{v} % 2 == 1", "{v} % 2 == 0", ("the odd ones", "those that are odd")),
    Condition("{v} > {k}", "{v} <= {k}", ("those above {k}", "those greater than {k}"), ANY),
    Condition("{v} < {k}", "{v} >= {k}", ("those below {k}", "those less than {k}"), ANY),
    Condition("{v} >= {k}", "{v} < {k}", ("those of at least {k}", "those from {k} up"), ANY),
    Condition("{v} <= {k}", "{v} > {k}", ("those of at most {k}", "those up to {k}"), ANY),
    Condition(
        "{v} % {k} == 0",
        "{v} % {k} != 0",
        ("the multiples of {k}", "those divisible by {k}"),
        (3, 4, 5, 6, 7),
    ),
    Condition(
        "{v} != {k}", "{v} == {k}", ("those other than {k}", "those different from {k}"), SMALL
    ),
)
SIGN_CONDITIONS = (
    Condition("{v} > 0", "{v} <= 0", ("the positive ones", "those above zero")),
    Condition("{v} < 0", "{v} >= 0", ("the negative ones", "those below zero")),
)
NUMBER_CHANGES = (
    Change("{v} += {k}", "{v} + {k}", ("adds {k} to {each}", "increases {each} by {k}"), ANY),
    Change("{v} -= {k}", "{v} - {k}", ("subtracts {k} from {each}", "lowers {each} by {k}"), ANY),
    Change("{v} *= {k}", "{v} * {k}", ("multiplies {each} by {k}",), SMALL[1:]),
    Change("{v} *= 2", "{v} * 2", ("doubles {each}", "multiplies {each} by 2")),
    Change("{v} //= {k}", "{v} // {k}", ("divides {each} by {k} rounding down",), (2, 3, 4, 5)),
    Change("{v} %= {k}", "{v} % {k}", ("takes {each} modulo {k}",), (4, 5, 6, 7, 8, 9, 10)),
    Change("{v} = {v} * {v}", "{v} * {v}", ("squares {each}", "multiplies {each} by itself")),
    Change("{v} = -{v}", "-{v}", ("negates {each}", "flips the sign of {each}")),
    Change("{v} = {k} - {v}", "{k} - {v}", ("subtracts {each} from {k}",), LARGE),
    Change(
        "{v} = min({v}, {k})", "", ("caps {each} at {k}", "limits {each} to at most {k}"), LARGE
    ),
    Change("{v} = max({v}, {k})", "", ("raises {each} to at least {k}",), SMALL),
)
ABSOLUTE = Change(
    "{v} = abs({v})", "abs({v})", ("takes the absolute value of {each}", "drops the sign of {each}")
)
NUMBER_FOLDS = (
    Fold("total = 0", "total += {v}", "total", ("their sum", "the sum of them"), NUMBER_ENDINGS),
    Fold(
        "result = 1",
        "result *= {v}",
        "result",
        ("their product", "the product of them"),
        NUMBER_ENDINGS,
    ),
    COUNT,
    Fold(
        "kept = []",
        "kept.append({v})",
        "max(kept, default=0)",
        ("the largest or 0 if none is left", "the maximum or 0 if there is none"),
        NUMBER_ENDINGS,
    ),
    Fold(
        "kept = []",
        "kept.append({v})",
        "min(kept, default=0)",
        ("the smallest or 0 if none is left", "the minimum or 0 if there is none"),
        NUMBER_ENDINGS,
    ),
    Fold("last = 0", "last = {v}", "last", ("the last one or 0 if none is left",), NUMBER_ENDINGS),
    LIST,
    DISTINCT,
)

TEXT_CONDITIONS = (
    Condition("{v}.isdigit()", "not {v}.isdigit()", ("the digits",)),
    Condition("{v}.isalpha()", "not {v}.isalpha()", ("the letters",)),
    Condition(
        "{v}.isupper()", "not {v}.isupper()", ("the capital letters", "the upper case letters")
    ),
    Condition(
        "{v}.islower()", "not {v}.islower()", ("the small letters", "the lower case letters")
    ),
    Condition(
        "{v} in 'aeiou'", "{v} not in 'aeiou'", ("the small vowels", "the lower case vowels")
    ),
    Condition(
        "{v} != '{k}'",
        "{v} == '{k}'",
        ("those other than '{k}'", "those different from '{k}'"),
        LETTERS,
    ),
    Condition("{v} > '{k}'", "{v} <= '{k}'", ("those that sort after '{k}'",), LETTERS[3:]),
)
WORD_CONDITIONS = (
    Condition("len({v}) > {k}", "len({v}) <= {k}", ("those longer than {k}",), (2, 3, 4, 5)),
    Condition("len({v}) < {k}", "len({v}) >= {k}", ("those shorter than {k}",), (3, 4, 5, 6)),
    Condition("len({v}) % 2 == 0", "len({v}) % 2 == 1", ("those of even length",)),
    Condition("len({v}) % 2 == 1", "len({v}) % 2 == 0", ("those of odd length",)),
    Condition(
        "'{k}' in {v}",
        "'{k}' not in {v}",
        ("those that contain '{k}'", "those with '{k}' in them"),
        LETTERS,
    ),
    Condition(
        "{v}.startswith('{k}')",
        "not {v}.startswith('{k}')",
        ("those that start with '{k}'", "those that begin with '{k}'"),
        LETTERS,
    ),
    Condition(
        "{v}.endswith('{k}')", "not {v}.endswith('{k}')", ("those that end with '{k}'",), LETTERS
    ),
)
TEXT_CHANGES = (
    Change(
        "{v} = {v}.upper()",
        "{v}.upper()",
        ("puts {each} in upper case", "writes {each} in capitals"),
    ),
    Change("{v} = {v}.lower()", "{v}.lower()", ("puts {each} in lower case",)),
    Change("{v} = {v}.swapcase()", "{v}.swapcase()", ("swaps the case of {each}",)),
    Change(
        "{v} *= {k}",
        "{v} * {k}",
        ("repeats {each} {k} times", "writes {each} {k} times"),
        (2, 3, 4),
    ),
    Change(
        "{v} += '{k}'",
        "{v} + '{k}'",
        ("puts '{k}' after {each}", "appends '{k}' to {each}"),
        LETTERS,
    ),
    Change("{v} = '{k}' + {v}", "'{k}' + {v}", ("puts '{k}' before {each}",), LETTERS),
)
WORD_CHANGES = (
    Change("{v} = {v}[::-1]", "{v}[::-1]", ("reverses {each}", "turns {each} round")),
    Change("{v} = {v}[:{k}]", "{v}[:{k}]", ("cuts {each} to the first {k} letters",), (2, 3, 4)),
    Change("{v} = {v}[{k}:]", "{v}[{k}:]", ("drops the first {k} letters of {each}",), (2, 3)),
    Change("{v} = {v}.replace('{k}', '')", "", ("removes every '{k}' from {each}",), LETTERS),
)
LENGTHS = Fold(
    "total = 0",
    "total += len({v})",
    "total",
    ("their total length", "the sum of their lengths"),
    NUMBER_ENDINGS,
)
JOINED = Fold(
    "result = ''", "result += {v}", "result", ("them joined", "the text made of them"), TEXT_ENDINGS
)
TURNED = Fold(
    "result = ''",
    "result = {v} + result",
    "result",
    ("them joined from last to first",),
    TEXT_ENDINGS,
)
SPACED = Fold(
    "kept = []", "kept.append({v})", "' '.join(kept)", ("them joined by spaces",), TEXT_ENDINGS[:3]
)
LONGEST = Fold(
    "kept = []",
    "kept.append({v})",
    "max(kept, key=len, default='')",
    ("the longest or an empty text if none is left",),
    TEXT_ENDINGS,
)
