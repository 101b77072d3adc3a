"""Operations as bytes, the form in which they are sent, recorded and compared."""

from __future__ import annotations

from stepnav.sandbox.codec import encode
from stepnav.sandbox.records import Call, GetAttribute, GetName, Operation


def encode_operation(operation: Operation) -> bytes:
    """Return the encoding of an operation.

    Raises:
      UnencodableError: an argument is of a type that cannot enter the box.
      TooLargeError: an argument is nested too deeply or too large.
    """
    if isinstance(operation, Call):
        return encode(("c", operation.name, encode((operation.args, dict(operation.kwargs)))))
    if isinstance(operation, GetAttribute):
        return encode(("g", operation.target, operation.name))
    if isinstance(operation, GetName):
        return encode(("n", operation.name))
    return encode(("s", operation.target, operation.name, operation.value))
