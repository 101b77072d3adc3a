"""What runs inside the box: load the program, make the calls, send what came of each.

This code shares its interpreter with the untrusted program, which may therefore make it send
anything. That is no loss: everything it sends is a value, compared outside. Nothing that would be
worth stealing is here; the box is never told an expected value.

Messages are one encoded tuple each, with a length before it. A job is
`("job", source, operations, is_live, max_depth, output_bytes)`, operations being encoded tuples
themselves: `("c", name or Ref, encoded arguments)`, `("g", Ref, attribute)`,
`("s", Ref, attribute, value)`, `("n", name)`. Answers are `("v", value, changed arguments or None)`,
`("o", type name)`, `("e", type name, message, changed)` and `("u", why it could not be sent)`.
"""

from __future__ import annotations

import collections
import os
import struct
import sys
import types
from typing import Any

from stepnav.sandbox.codec import TooLargeError, UnencodableError, decode, encode
from stepnav.sandbox.records import Ref

MODULE = "candidate"
MESSAGE_CHARACTERS = 200
HEADER = struct.Struct("<I")
_MUTABLE = (list, dict, set, collections.deque, collections.Counter, collections.defaultdict)

_STRANGE = (MemoryError, RecursionError)


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

    def load(self, source: str) -> bytes:
        """Return the answer to running the source as a fresh module."""
        sys.modules[MODULE] = self.module
        try:
            self.code = compile(source, f"<{MODULE}>", "exec", dont_inherit=True)
            exec(self.code, self.module.__dict__)
        except BaseException as error:
            return self._raised(error, None)
        self.is_loaded = True
        return encode(("v", None, None))

    def answer(self, operation: bytes) -> bytes:
        """Return the answer to one operation."""
        index, self._count = self._count, self._count + 1
        fields = decode(operation, max_depth=200)
        args: tuple[Any, ...] = ()
        kwargs: dict[str, Any] = {}
        sent = None
        try:
            if fields[0] == "c":
                args, kwargs = decode(fields[2], max_depth=200)
                if any(type(item) in _MUTABLE for item in (*args, *kwargs.values())):
                    sent = fields[2]
                has_refs = b"R" in fields[2]  # or that byte in a text, which does no harm
                value = self._call(fields[1], args, kwargs, has_refs)
            else:
                value = self._attribute(fields)
        except BaseException as error:
            return self._raised(error, self._changed(sent, args, kwargs))
        return self._returned(index, value, self._changed(sent, args, kwargs))

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

    def _changed(self, sent: bytes | None, args: Any, kwargs: Any) -> Any:
        """Return the arguments after the call if it changed one in place, else None."""
        if sent is None:
            return None
        try:
            return None if encode((args, kwargs), **self._caps) == sent else (args, kwargs)
        except (UnencodableError, TooLargeError):
            return None

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
        send(channel, program.answer(operation))
    while is_live:
        asked = receive(channel)
        if asked is None:
            return
        send(channel, program.answer(asked))


def send(channel: int, *answers: bytes) -> None:
    """Write answers, each with its length before it."""
    data = b"".join(part for item in answers for part in (HEADER.pack(len(item)), item))
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
