"""The closed encoding in which values enter and leave the box.

Exactly these types pass: None, bool, int, float, complex, str, bytes, list, tuple, dict, set,
frozenset, range; from `collections`: Counter, OrderedDict, defaultdict (without its factory),
deque; iterators and dictionary views, which arrive as iterators and views over the same items; the
built-in type objects of `TYPES`; and `Ref`, which names an object in the box. Any other type, every
subclass included, is refused by name. Decoding builds nothing else, runs no foreign code, and is
capped in bytes, depth, integer size, keys that share a hash, and, from the box, tables and ranges.
Not pickle, marshal or JSON: the first two are unsafe to read, the last cannot tell a tuple from a
list.

Layout: one tag byte, then a length where the type has one (one byte below 255, else 255 and four
bytes), then the content. This module is loaded on both sides and imports only the standard library.
"""

from __future__ import annotations

import collections
import itertools
import struct
import sys
from typing import Any

from stepnav.sandbox.collisions import collide, parts_collide
from stepnav.sandbox.records import Ref

MAX_INT_BYTES = 2**20
MAX_ITEMS = 2**20
MAX_COST = 2**20
"""What an answer may hold of that which takes little to send and much to keep, or to list: a range
costs its length, anything but a list, a tuple or a text `TABLE_COST`."""

TABLE_COST = 32
"""An empty deque is sent as two bytes and kept in 760."""

FREE_LISTS = 2**16
BYTES_PER_LIST = 8
"""Lists and tuples of an answer beyond `FREE_LISTS`: an empty one is sent as two bytes and kept in
80, with a number in it as five."""

HASH_LIMIT_BYTES = 8
"""Integers of fewer bytes have a hash of their own, but for -1 and -2."""

SMALL = 128
"""Integers nearer to zero take one byte."""

COLLIDE = "too many different keys share a hash"
TYPES: dict[str, type] = {
    kind.__name__: kind
    for kind in (
        bool, int, float, complex, str, bytes, list, tuple, dict, set, frozenset, range, object,
        type(None),
    )
}  # fmt: skip
"""Type objects that may stand in arguments, as in `remove_datatype(items, int)`."""

_TYPE_NAMES = {kind: name for name, kind in TYPES.items()}
_EXAMPLES: tuple[Any, ...] = (
    (item for item in ""), map(abs, ()), filter(None, ()), zip(), enumerate(()), iter([]),
    iter(()), iter({}), iter({}.values()), iter({}.items()), iter(set()), iter(""), iter(range(0)),
    reversed([]), itertools.chain(), itertools.islice((), 0), itertools.accumulate(()),
    itertools.permutations(()), itertools.combinations((), 0), itertools.product(),
    itertools.starmap(abs, ()), itertools.takewhile(bool, ()), itertools.zip_longest((), ()),
)  # fmt: skip
_ITERATORS = frozenset(map(type, _EXAMPLES))
_EMPTY: dict[int, int] = {}
_DOUBLE = struct.Struct("<d")
_PAIR = struct.Struct("<dd")
_LENGTH = struct.Struct("<I")


class UnencodableError(Exception):
    """A value is of a type that does not pass; the text names the type."""


class TooLargeError(Exception):
    """A value is too deep, too long, or its integers are too big."""


class BrokenError(Exception):
    """Bytes that are no encoding, or one beyond the caps."""


def encode(value: Any, *, max_depth: int = 50, max_bytes: int = 2**30) -> bytes:
    """Return the encoding of a value.

    Raises:
      UnencodableError: it or something in it is of another type.
      TooLargeError: it is beyond the caps; a value that contains itself is too deep.
    """
    out = bytearray()
    _encode(value, out, max_depth, max_bytes)
    if len(out) > max_bytes:
        raise TooLargeError(f"more than {max_bytes} bytes")
    return bytes(out)


def _length(size: int, out: bytearray) -> None:
    if size < 255:
        out.append(size)
    else:
        out.append(255)
        out += _LENGTH.pack(size)


def _encode(value: Any, out: bytearray, depth: int, max_bytes: int) -> None:
    kind = type(value)
    if kind is int:
        size = value.bit_length() // 8 + 1
        if size > MAX_INT_BYTES:
            raise TooLargeError(f"an integer of {size} bytes")
        out += b"i"
        _length(size, out)
        out += value.to_bytes(size, "little", signed=True)
    elif kind is str:
        text = value.encode("utf-8", "surrogatepass")
        out += b"s"
        _length(len(text), out)
        out += text
    elif kind in _SEQUENCES:
        out += _SEQUENCES[kind]
        _length(len(value), out)
        _encode_items(value, out, depth, max_bytes)
    elif kind in _MAPPINGS:
        out += _MAPPINGS[kind]
        _length(len(value), out)
        _encode_items(itertools.chain.from_iterable(value.items()), out, depth, max_bytes)
    else:
        _encode_rare(value, kind, out, depth, max_bytes)


def _encode_items(items: Any, out: bytearray, depth: int, max_bytes: int) -> None:
    if depth <= 0:
        raise TooLargeError("nested too deeply")
    for item in items:
        kind = type(item)
        if kind is int and -SMALL < item < SMALL:
            out += _SMALL_INTS[item]
        elif item is None:
            out += b"N"
        elif kind is bytes and len(item) < 255:
            out += b"b%c" % len(item)
            out += item
        else:
            _encode(item, out, depth - 1, max_bytes)
    if len(out) > max_bytes:
        raise TooLargeError(f"more than {max_bytes} bytes")


def _encode_rare(value: Any, kind: type, out: bytearray, depth: int, max_bytes: int) -> None:
    if value is None:
        out += b"N"
    elif kind is bool:
        out += b"T" if value else b"F"
    elif kind is float:
        out += b"f" + _DOUBLE.pack(value)
    elif kind is complex:
        out += b"c" + _PAIR.pack(value.real, value.imag)
    elif kind is bytes:
        out += b"b"
        _length(len(value), out)
        out += value
    elif kind is range:
        out += b"r"
        _encode_items((value.start, value.stop, value.step), out, 1, max_bytes)
    elif depth <= 0:
        raise TooLargeError("nested too deeply")
    elif kind is Ref:
        out += b"R"
        _encode(value.index, out, 0, max_bytes)
    elif kind is type and value in _TYPE_NAMES:
        out += b"y"
        _encode(_TYPE_NAMES[value], out, 0, max_bytes)
    elif kind in _VIEWS:
        out += _VIEWS[kind]
        _encode(list(value), out, depth - 1, max_bytes)
    elif kind in _ITERATORS:
        out += b"I"
        _encode(_taken(value), out, depth - 1, max_bytes)
    else:
        raise UnencodableError(kind.__name__)


def _taken(iterator: Any) -> list[Any]:
    items = list(itertools.islice(iterator, MAX_ITEMS + 1))
    if len(items) > MAX_ITEMS:
        raise TooLargeError(f"an iterator of more than {MAX_ITEMS} items")
    return items


_SMALL_INTS = [b"i\1" + (n % 256).to_bytes(1, "little") for n in (*range(SMALL), *range(-SMALL, 0))]
"""Encodings of the integers of one byte, negative ones by negative index."""

_SEQUENCES: dict[type, bytes] = {
    list: b"l", tuple: b"t", set: b"e", frozenset: b"z", collections.deque: b"q",
}  # fmt: skip
_MAPPINGS: dict[type, bytes] = {
    dict: b"d", collections.Counter: b"C", collections.OrderedDict: b"O",
    collections.defaultdict: b"D",
}  # fmt: skip
_VIEWS: dict[type, bytes] = {
    type(_EMPTY.keys()): b"k", type(_EMPTY.values()): b"v", type(_EMPTY.items()): b"m",
}  # fmt: skip


class _Caps:
    """What is left of an answer's caps, and what in it a test may make keys of.

    Args:
      size: bytes of the answer; None for data that is trusted.
    """

    __slots__ = ("cost", "lists", "parts")

    def __init__(self, size: int | None) -> None:
        self.cost = sys.maxsize if size is None else MAX_COST
        self.lists = sys.maxsize if size is None else FREE_LISTS + size // BYTES_PER_LIST
        self.parts: list[Any] = []


def decode(data: bytes, *, max_depth: int = 50, is_answer: bool = False) -> Any:
    """Return the value of an encoding.

    Args:
      data: the encoding.
      max_depth: deepest nesting.
      is_answer: whether it is from the box, so that what it costs the caller is capped too.

    Raises:
      BrokenError: it is no encoding, has bytes left over, or is beyond the caps.
    """
    caps = _Caps(len(data) if is_answer else None)
    try:
        value, end = _decode(data, 0, max_depth, caps)
        if is_answer and parts_collide(caps.parts):
            raise BrokenError(COLLIDE)
    except (IndexError, struct.error, TypeError, ValueError, OverflowError) as error:
        raise BrokenError(f"not an encoded value ({type(error).__name__})") from None
    if end != len(data):
        raise BrokenError("bytes left over after an encoded value")
    return value


def _read_length(data: bytes, at: int) -> tuple[int, int]:
    size = data[at]
    if size < 255:
        return size, at + 1
    return _LENGTH.unpack_from(data, at + 1)[0], at + 5


def _slice(data: bytes, at: int) -> tuple[bytes, int]:
    size, at = _read_length(data, at)
    if at + size > len(data):
        raise BrokenError("cut short")
    return data[at : at + size], at + size


def _decode(data: bytes, at: int, depth: int, caps: _Caps) -> tuple[Any, int]:
    tag = data[at]
    at += 1
    if tag == 105:  # i
        raw, at = _slice(data, at)
        if len(raw) > MAX_INT_BYTES:
            raise BrokenError("an integer beyond the cap")
        value: Any = int.from_bytes(raw, "little", signed=True)
        if len(raw) >= HASH_LIMIT_BYTES:
            caps.parts.append(value)
        return value, at
    if tag == 115:  # s
        raw, at = _slice(data, at)
        return raw.decode("utf-8", "surrogatepass"), at
    if tag in _LISTS:
        if tag not in _PLAIN:
            _pay(caps, TABLE_COST)
        caps.lists -= 1
        if caps.lists < 0:
            raise BrokenError("more lists than allowed")
        items, at = _decode_items(data, at, depth, caps)
        value = _LISTS[tag](items)
        caps.parts.append(value)
        return value, at
    if tag in _DICTS:
        return _decode_mapping(data, at, depth, tag, caps)
    return _decode_rare(data, at, depth, tag, caps)


def _decode_items(
    data: bytes, at: int, depth: int, caps: _Caps, *, times: int = 1
) -> tuple[list[Any], int]:
    if depth <= 0:
        raise BrokenError("nested too deeply")
    size, at = _read_length(data, at)
    size *= times
    if size > len(data) - at:
        raise BrokenError("cut short")
    items: list[Any] = []
    for _ in range(size):
        tag = data[at]
        if tag == 105 and data[at + 1] == 1:  # i, one byte
            small = data[at + 2]
            items.append(small if small < SMALL else small - 256)
            at += 3
        elif tag == 98:  # b
            item, at = _slice(data, at + 1)
            items.append(item)
        else:
            item, at = _decode(data, at, depth - 1, caps)
            items.append(item)
    return items, at


def _decode_mapping(data: bytes, at: int, depth: int, tag: int, caps: _Caps) -> tuple[Any, int]:
    _pay(caps, TABLE_COST)
    items, at = _decode_items(data, at, depth, caps, times=2)
    keys = items[::2]
    _check_hashes(keys)
    caps.parts += zip(keys, items[1::2])
    return _DICTS[tag](dict(zip(keys, items[1::2]))), at


def _decode_rare(data: bytes, at: int, depth: int, tag: int, caps: _Caps) -> tuple[Any, int]:
    if tag in _CONSTANTS:
        return _CONSTANTS[tag], at
    if tag == 102:  # f
        return _DOUBLE.unpack_from(data, at)[0], at + 8
    if tag == 99:  # c
        caps.parts.append(complex(*_PAIR.unpack_from(data, at)))
        return caps.parts[-1], at + 16
    if tag == 98:  # b
        return _slice(data, at)
    if tag == 114:  # r
        start, at = _decode_int(data, at, caps)
        stop, at = _decode_int(data, at, caps)
        step, at = _decode_int(data, at, caps)
        value = range(start, stop, step)
        _pay(caps, len(value[: MAX_COST + 1]))
        caps.parts.append(value)
        return value, at
    if depth <= 0 or tag not in _WRAPPED:
        raise BrokenError(f"unknown tag {tag}")
    _pay(caps, TABLE_COST)
    inner, at = _decode(data, at, depth - 1, caps)
    expected, build = _WRAPPED[tag]
    if type(inner) is not expected:
        raise BrokenError(f"wrong content under tag {tag}")
    return build(inner), at


def _decode_int(data: bytes, at: int, caps: _Caps) -> tuple[int, int]:
    if data[at] != ord("i"):
        raise BrokenError("a range of something else than integers")
    return _decode(data, at, 0, caps)


def _pay(caps: _Caps, cost: int) -> None:
    caps.cost -= cost
    if caps.cost < 0:
        raise BrokenError("more tables, or longer ranges, than allowed")


def _check_hashes(keys: list[Any]) -> None:
    if collide(keys):
        raise BrokenError(COLLIDE)


def _as_set(items: list[Any]) -> set[Any]:
    _check_hashes(items)
    return set(items)


def _as_frozenset(items: list[Any]) -> frozenset[Any]:
    _check_hashes(items)
    return frozenset(items)


def _as_keys(items: list[Any]) -> Any:
    _check_hashes(items)
    return dict.fromkeys(items).keys()


def _as_items(items: list[Any]) -> Any:
    _check_hashes([key for key, _ in items])
    return dict(items).items()


def _as_type(name: str) -> type:
    if name not in TYPES:
        raise BrokenError(f"unknown type {name[:40]!r}")
    return TYPES[name]


_CONSTANTS: dict[int, Any] = {78: None, 84: True, 70: False}
_PLAIN = frozenset(b"lt")
_LISTS: dict[int, Any] = {
    ord("l"): lambda items: items, ord("t"): tuple, ord("e"): _as_set, ord("z"): _as_frozenset,
    ord("q"): collections.deque,
}  # fmt: skip
_DICTS: dict[int, Any] = {
    ord("d"): lambda items: items, ord("C"): collections.Counter,
    ord("O"): collections.OrderedDict,
    ord("D"): lambda items: collections.defaultdict(None, items),
}  # fmt: skip
_WRAPPED: dict[int, tuple[type, Any]] = {
    ord("R"): (int, Ref), ord("y"): (str, _as_type), ord("I"): (list, iter),
    ord("k"): (list, _as_keys), ord("v"): (list, lambda items: dict(enumerate(items)).values()),
    ord("m"): (list, _as_items),
}  # fmt: skip
