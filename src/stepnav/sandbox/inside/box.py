"""What runs inside the box: load the program, make the calls, send what came of each.

This code shares its interpreter with the untrusted program, which may therefore make it send
anything. That is no loss: everything it sends is a value, compared outside. Nothing that would be
worth stealing is here; the box is never told an expected value.

Messages are one encoded tuple each, with a length before it. A job is
`("job", source, operations, is_live, max_depth, output_bytes)`, operations being encoded tuples
themselves: `("c", name or Ref, encoded arguments)`, `("g", Ref, attribute)`,
`("s", Ref, attribute, value)`, `("n", name)`. Answers are `("v", value, changed arguments or
None)`, `("o", type name)`, `("e", type name, message, changed)` and `("u", why it could not be
sent)`.
"""

from __future__ import annotations

import collections
import marshal
import os
import struct
import sys
import types
from collections.abc import Iterable
from typing import Any

from stepnav.sandbox.codec import TooLargeError, UnencodableError, decode, encode
from stepnav.sandbox.records import Ref

MODULE = "candidate"
MESSAGE_CHARACTERS = 200
HEADER = struct.Struct("<I")
_MUTABLE = (list, dict, set, collections.deque, collections.Counter, collections.defaultdict)

_MARSHAL_VERSION = 2
"""The last without references, so that equal values are written alike."""

_LOADED = encode(("v", None, None))
_STRANGE = MemoryError


class Asked:
    """An operation, decoded; a batch asks it of every variant.

    Args:
      operation: its encoding.
      is_repeated: whether it is worth preparing for many programs.

    Attributes:
      fields: kind, name or `Ref`, and what belongs to the kind.
      has_refs: whether an argument may be a `Ref`.
    """

    def __init__(self, operation: bytes, *, is_repeated: bool = False) -> None:
        self.fields: tuple[Any, ...] = decode(operation, max_depth=200)
        self.has_refs = False
        self._is_mutable = False
        self._template: bytes | None = None
        if self.fields[0] != "c":
            return
        self.has_refs = b"R" in self.fields[2]  # or that byte in a text, which does no harm
        args, kwargs = decode(self.fields[2], max_depth=200)
        self._is_mutable = any(type(item) in _MUTABLE for item in (*args, *kwargs.values()))
        if is_repeated and _is_plain((args, kwargs)):
            self._template = marshal.dumps((args, kwargs), _MARSHAL_VERSION)

    def fresh(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return arguments that no program has held before."""
        if self._template is not None:
            return marshal.loads(self._template)  # type: ignore[no-any-return]
        return decode(self.fields[2], max_depth=200)  # type: ignore[no-any-return]

    def changed(self, args: Any, kwargs: Any, caps: dict[str, int]) -> Any:
        """Return the arguments after the call if it changed one in place, else None."""
        if not self._is_mutable or self._is_as_sent(args, kwargs):
            return None
        try:
            sent = self.fields[2]
            return None if encode((args, kwargs), **caps) == sent else (args, kwargs)
        except (UnencodableError, TooLargeError):
            return None

    def _is_as_sent(self, args: Any, kwargs: Any) -> bool:
        """Return whether the arguments are surely unchanged."""
        try:
            return (
                self._template is not None
                and marshal.dumps((args, kwargs), _MARSHAL_VERSION) == self._template
            )
        except ValueError:  # there is something in them now that was not sent
            return False


def _is_plain(value: Any) -> bool:
    """Return whether marshal copies a value exactly, and writes no other value like it.

    Not so sets, whose order may change, and bytes, which look like any buffer.
    """
    kind = type(value)
    if kind in (list, tuple):
        return all(map(_is_plain, value))
    if kind is dict:
        return all(_is_plain(key) and _is_plain(item) for key, item in value.items())
    return value is None or kind in (bool, int, float, complex, str)


class Program:
    """A loaded program, with the objects that its calls left behind.

    Args:
      max_depth: deepest nesting of an answer.
      max_bytes: longest answer.

    Attributes:
      module: its namespace.
      kept: objects that stay in the box, by the operation that made them.
      code: the compiled source; None if it does not compile.
      is_loaded: whether running the source ended without an exception.
      is_strange: whether it ended in a way that may depend on what the process did before.
    """

    def __init__(self, *, max_depth: int, max_bytes: int) -> None:
        self.module = types.ModuleType(MODULE)
        self.kept: dict[int, Any] = {}
        self.code: types.CodeType | None = None
        self.is_loaded = False
        self.is_strange = False
        self._caps = {"max_depth": max_depth, "max_bytes": max_bytes}
        self._count = 0

    def compile(self, source: str) -> BaseException | None:
        """Compile the source; return what went wrong."""
        try:
            self.code = compile(source, f"<{MODULE}>", "exec", dont_inherit=True, optimize=0)
        except BaseException as error:
            return error
        return None

    def load(self, source: str) -> bytes:
        """Return the answer to running the source as a fresh module."""
        sys.modules[MODULE] = self.module
        wrong = None if self.code else self.compile(source)
        if wrong is not None:
            return self._raised(wrong, None)
        assert self.code is not None, "it was compiled"
        try:
            exec(self.code, self.module.__dict__)
        except BaseException as error:
            return self._raised(error, None)
        self.is_loaded = True
        return _LOADED

    def answer(self, asked: Asked) -> bytes:
        """Return the answer to one operation."""
        index, self._count = self._count, self._count + 1
        fields = asked.fields
        args: tuple[Any, ...] = ()
        kwargs: dict[str, Any] = {}
        try:
            if fields[0] == "c":
                args, kwargs = asked.fresh()
                value = self._call(fields[1], args, kwargs, asked.has_refs)
            else:
                value = self._attribute(fields)
        except BaseException as error:
            return self._raised(error, asked.changed(args, kwargs, self._caps))
        return self._returned(index, value, asked.changed(args, kwargs, self._caps))

    def _call(self, target: Any, args: Any, kwargs: Any, has_refs: bool) -> Any:
        function = self.kept[target.index] if type(target) is Ref else self._global(target)
        if has_refs:
            return function(*self._resolve(args), **self._resolve(kwargs))
        return function(*args, **kwargs)

    def _global(self, name: str) -> Any:
        try:
            return self.module.__dict__[name]
        except KeyError:
            raise NameError(f"name {name!r} is not defined") from None

    def _attribute(self, fields: tuple[Any, ...]) -> Any:
        if fields[0] == "n":
            return self._global(fields[1])
        target = self.kept[fields[1].index]
        if fields[0] == "g":
            return getattr(target, fields[2])
        return setattr(target, fields[2], self._resolve(fields[3]))

    def _resolve(self, value: Any) -> Any:
        """Return a value with every `Ref` in it replaced by the object that it names."""
        if type(value) is Ref:
            return self.kept[value.index]
        if type(value) in (list, tuple):
            return type(value)(map(self._resolve, value))
        if type(value) is dict:
            return {key: self._resolve(item) for key, item in value.items()}
        return value

    def _returned(self, index: int, value: Any, changed: Any) -> bytes:
        try:
            return encode(("v", value, changed), **self._caps)
        except UnencodableError:
            self.kept[index] = value
            return encode(("o", str(type(value).__name__)[:MESSAGE_CHARACTERS]))
        except TooLargeError as error:
            self.is_strange = True
            return encode(("u", str(error)))
        except BaseException as error:  # an iterator that raises, or a program that broke its types
            return self._raised(error, None)

    def _raised(self, error: BaseException, changed: Any) -> bytes:
        if isinstance(error, _STRANGE) or not isinstance(error, Exception):
            self.is_strange = True
        name = str(type(error).__name__)[:MESSAGE_CHARACTERS]
        try:
            message = str(error)[:MESSAGE_CHARACTERS]
        except BaseException:
            message = "(the exception's text raised an exception)"
        try:
            return encode(("e", name, message, changed), **self._caps)
        except (UnencodableError, TooLargeError):
            return encode(("e", name, message[:1] and "(text cut)", None))


def run(channel: int, message: tuple[Any, ...]) -> None:
    """Serve one job over a descriptor: answers out, and further operations in if it is live."""
    _, source, operations, is_live, max_depth, max_bytes = message
    _serve(channel, Program(max_depth=max_depth, max_bytes=max_bytes), source, operations, is_live)


def _serve(
    channel: int, program: Program, source: str, operations: list[bytes], is_live: bool
) -> None:
    # as deep in the stack as `batch_box._judge_one`, so that recursion ends at the same depth
    send(channel, program.load(source))
    if not program.is_loaded:
        return
    for operation in operations:
        send(channel, program.answer(Asked(operation)))
    while is_live:
        asked = receive(channel)
        if asked is None:
            return
        send(channel, program.answer(Asked(asked)))


def join(answers: Iterable[bytes]) -> bytes:
    """Return answers as one text, each with its length before it."""
    return b"".join(part for item in answers for part in (HEADER.pack(len(item)), item))


def split(data: bytes | bytearray, most: int = sys.maxsize) -> list[bytes]:
    """Return the complete answers, at most so many, at the start of what `join` made."""
    found: list[bytes] = []
    at = HEADER.size
    while at <= len(data) and len(found) < most:
        end = at + HEADER.unpack_from(data, at - HEADER.size)[0]
        if end > len(data):
            break
        found.append(bytes(data[at:end]))
        at = end + HEADER.size
    return found


def send(channel: int, *answers: bytes) -> None:
    """Write answers, each with its length before it."""
    data = join(answers)
    while data:
        data = data[os.write(channel, data) :]


def receive(channel: int) -> bytes | None:
    """Return the next message; None at the end of the channel."""
    header = _exactly(channel, HEADER.size)
    return None if header is None else _exactly(channel, HEADER.unpack(header)[0])


def _exactly(channel: int, size: int) -> bytes | None:
    parts: list[bytes] = []
    while size:
        part = os.read(channel, min(size, 2**20))
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
