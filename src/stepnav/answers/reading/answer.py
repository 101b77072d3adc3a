"""Reading an answer: from its tidy text to the form it has (see `forms`).

Each reader returns None where a text is not of its kind; the first that knows it wins. Commas,
relations and brackets count only outside other brackets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from stepnav.answers import forms as f
from stepnav.answers.expression import UnreadableError
from stepnav.answers.forms import Form, Items, Named, Quantity, Words
from stepnav.answers.quantity import read_time
from stepnav.answers.reading.matrices import read_matrix
from stepnav.answers.reading.measures import GROUPS, read_compound, read_quantity
from stepnav.answers.reading.phrases import read_phrase
from stepnav.answers.reading.relations import RELATION, read_relation
from stepnav.answers.region import REALS, Region
from stepnav.answers.sameness import as_region
from stepnav.answers.spelling import MAX_CHARACTERS, tidy

MAX_MEMBERS = 64

_OPENING = re.compile(r"\\begin|\\langle|\\[lL]floor|\\lceil|\\\{|[(\[{]")
_CLOSING = re.compile(r"\\end|\\rangle|\\rfloor|\\rceil|\\\}|[)\]}]")
_NAMED_SETS: dict[str, Form] = {"\\mathbb{R}": REALS, "\\mathbb{Z}": Words("integers")}
_EXCEPT = re.compile(
    r"(?:\\text\{)?all real(?:s| numbers)?,? (?:except|but|other than)(?: for)?\s*\}?(.+)",
    re.IGNORECASE,
)
_MARK = re.compile(rf"{_OPENING.pattern}|{_CLOSING.pattern}|\\[A-Za-z]+|\\.|\s|.", re.DOTALL)
_LABEL_END = re.compile(r"\\text\{([^{}]+?)(,| and| or)\}(?=\s*\d)")
"""The words after a member of a list, with what parts it from the next."""
_AND = re.compile(r"\\text\{,?\s*(and|or)\s*,?\}|,?\s(and|or)\s|,\s*(and|or)\b")


@lru_cache(maxsize=4096)
def read(answer: str) -> Form:
    """Return the form of an answer.

    Raises:
      UnreadableError: it has no form that is known here.
      TooBigError: a value in it is too big to be worked out.
    """
    if len(answer) > MAX_CHARACTERS:
        raise UnreadableError
    try:
        return _read(tidy(answer))
    except RecursionError:
        raise UnreadableError from None


def _read(text: str) -> Form:
    text = text.strip()
    if not text:
        raise UnreadableError
    for reader in _READERS:
        form = reader(text)
        if form is not None:
            return form
    raise UnreadableError


def split(text: str, separator: str) -> list[str]:
    """Return the parts of a text between separators (a regular expression) outside brackets."""
    parts, depth, start = [], 0, 0
    pattern = re.compile(separator)
    at = 0
    while at < len(text):
        found = pattern.match(text, at) if depth == 0 else None
        if found and found[0]:
            parts.append(text[start:at])
            at = start = found.end()
            continue
        mark = _MARK.match(text, at)
        assert mark is not None, "every character is a mark"
        if _OPENING.fullmatch(mark[0]):
            depth += 1
        elif _CLOSING.fullmatch(mark[0]):
            depth = max(0, depth - 1)
        at = mark.end()
    return [*parts, text[start:]]


def _phrase(text: str) -> Form | None:
    form = read_phrase(text, _read)
    wrapped = re.fullmatch(r"\\text\{([^{}]*\d[^{}]*)\}", text)
    return _read(wrapped[1]) if form is None and wrapped else form


def _list(text: str) -> Form | None:
    joined = _LABEL_END.sub(r"\\text{\1}\2 ", text)
    joined = _AND.sub(lambda m: f" \0{m[1] or m[2] or m[3]} ", joined)
    if not re.search(r"[(\[{]", joined):
        joined = GROUPS.sub(lambda m: m[0].replace(",", ""), joined)
    if re.fullmatch(r"\s*(?:\\text\{)?both\b.*", joined):
        return None
    pieces = split(joined, "\0(?:and|or) ")
    if len(pieces) > 1:
        combined = _conditions(pieces, is_or="\0or" in joined)
        if combined is not None:
            return combined
    parts = split(joined.replace("\0and ", ",").replace("\0or ", ","), r"[,;]")
    if len(parts) < 2:
        plain = joined.strip()
        return _read(plain) if plain != text else None
    members = _members([part for part in parts if part.strip()])
    return _gather(members)


def _conditions(pieces: list[str], *, is_or: bool) -> Form | None:
    """Return the region of conditions such as `x < 1 or x > 3`."""
    if not all(RELATION.search(piece) for piece in pieces):
        return None
    found = [_read(piece) for piece in pieces]
    regions = [item.form for item in found if isinstance(item, Named)]
    names = {item.name for item in found if isinstance(item, Named)}
    if len(regions) != len(found) or len(names) != 1:
        return None
    total, *rest = (as_region(region) for region in regions)
    for region in rest:
        if total is None or region is None:
            return None
        total = total | region if is_or else total & region
    if total is None or not any(isinstance(region, Region) for region in regions):
        return None
    return Named(names.pop(), total)


def _members(parts: Sequence[str]) -> list[Form]:
    if len(parts) > MAX_MEMBERS:
        raise UnreadableError
    members: list[Form] = []
    for part in parts:
        member = _read(part)
        if isinstance(member, Items) and member.brackets == f.LIST:
            members.extend(member.members)  # a plus-minus sign
        elif _is_named_list(member):
            assert isinstance(member, Named) and isinstance(member.form, Items), "checked above"
            members.extend(Named(member.name, item) for item in member.form.members)
        else:
            members.append(member)
    return members


def _is_named_list(form: Form) -> bool:
    return isinstance(form, Named) and isinstance(form.form, Items) and form.form.brackets == f.LIST


def _gather(members: list[Form]) -> Form:
    """Return a list; of values of one name, their list under this name; of several, a system."""
    names = [member.name for member in members if isinstance(member, Named)]
    plain: list[Form] = [m.form if isinstance(m, Named) else m for m in members]
    if names and len(set(names)) == 1 and isinstance(members[0], Named):
        return Named(names[0], Items(f.LIST, tuple(plain)))
    if len(names) == len(members) > 1 and len(set(names)) == len(names):
        ordered = sorted((m for m in members if isinstance(m, Named)), key=lambda m: m.name)
        return Items(f.SYSTEM, tuple(ordered))
    return Items(f.LIST, tuple(members))


def _sets(text: str) -> Form | None:
    joined = re.sub(r"(?<=[)\]}])\s*U\s*(?=[(\[\\])", r"\\cup ", text)
    for operator in (r"\\cup(?![A-Za-z])", r"\\cap(?![A-Za-z])", r"\\setminus(?![A-Za-z])"):
        parts = split(joined, operator)
        if len(parts) > 1:
            return _combined(operator, [_read(part) for part in parts])
    if re.search(r"^\\mathbb\{R\}\s*-\s*\\\{", joined):
        return _read(re.sub(r"\}\s*-\s*", r"}\\setminus ", joined, count=1))
    return None


def _combined(operator: str, operands: list[Form]) -> Form:
    if "cup" in operator and all(isinstance(o, Items) and o.brackets == f.SET for o in operands):
        return Items(f.SET, tuple(m for o in operands if isinstance(o, Items) for m in o.members))
    regions = [as_region(operand) for operand in operands]
    total = regions[0]
    for region in regions[1:]:
        if total is None or region is None:
            raise UnreadableError
        if "cup" in operator:
            total = total | region
        else:
            total = total & (region if "cap" in operator else ~region)
    if total is None:
        raise UnreadableError
    return total


def _relation(text: str) -> Form | None:
    return read_relation(text, split, _read)


def _bracketed(text: str) -> Form | None:
    match = re.fullmatch(r"(\\\{|\\langle|[(\[])(.*)(\\\}|\\rangle|[)\]])", text, re.DOTALL)
    if match is None or len(split(text, r"(?<=[)\]}])(?=.)")) > 1 or not _encloses(text):
        return None
    opening, inner, closing = match.groups()
    if opening == "\\{":
        return _set(inner)
    parts = split(inner, ",")
    if len(parts) < 2:
        return None if opening == "[" else _inner(inner)
    brackets = (opening + closing).replace("\\langle", "(").replace("\\rangle", ")")
    return Items(brackets, tuple(_read(part) for part in parts))


def _encloses(text: str) -> bool:
    """Return whether the first bracket closes at the end."""
    depth = 0
    for mark in _MARK.finditer(text):
        depth += bool(_OPENING.fullmatch(mark[0])) - bool(_CLOSING.fullmatch(mark[0]))
        if depth == 0:
            return mark.end() == len(text)
    return False


def _set(inner: str) -> Form:
    if not inner.strip():
        return f.EMPTY
    builder = split(inner, r"\\mid(?![A-Za-z])|(?<!\|)\||:")
    if len(builder) == 2:
        condition = _read(builder[1])
        name = re.match(r"\s*\\?[A-Za-z]+", builder[0])
        if isinstance(condition, Named) and name and name[0].strip() == condition.name:
            return condition.form
        raise UnreadableError
    parts = split(inner, ",")
    members: list[Form] = []
    for member in _members(parts):
        if member not in members:
            members.append(member)
    return Items(f.SET, tuple(members))


def _inner(inner: str) -> Form | None:
    form = _read(inner)
    return None if isinstance(form, Quantity) else form


def _matrix(text: str) -> Form | None:
    return read_matrix(text, _read)


def _quantity(text: str) -> Form | None:
    return read_quantity(text, _read)


def _ratio(text: str) -> Form | None:
    parts = split(text, ":")
    if len(parts) < 2 or any(not part.strip() for part in parts):
        return None
    members = [_read(part) for part in parts]
    if not all(isinstance(member, Quantity) for member in members):
        raise UnreadableError
    time = read_time(text.strip()) if len(parts) < 4 else None
    return Items(f.RATIO, tuple(members), f.Moment(*time) if time else None)


def _named_set(text: str) -> Form | None:
    exception = _EXCEPT.fullmatch(text)
    if exception:
        return _combined("setminus", [REALS, _set(exception[1].replace("\\text{ and }", ","))])
    return _NAMED_SETS.get(text.replace(" ", ""))


_READERS: tuple[Callable[[str], Form | None], ...] = (
    _named_set,
    _phrase,
    _sets,
    read_compound,
    _list,
    _relation,
    _bracketed,
    _matrix,
    _ratio,
    _quantity,
)
