"""Whether two programs compile to the same bytecode: a proof that a change changed nothing.

Compared are instructions, constants with their types, names and flags, function by function; line
numbers and positions are not. Trivial compiler equivalence, Papadakis et al. 2015; differs in: the
compiler is Python's own, so the answer holds for the version that runs.
"""

from __future__ import annotations

from types import CodeType
from typing import Any

from stepnav.mutate.program.source import compiled
from stepnav.tasks.inputs.values import written


def fingerprint(text: str) -> Any:
    """Return what a program compiles to, as values that compare equal for the same bytecode.

    Example:
      >>> fingerprint("x = 1 + 1") == fingerprint("x = (2)  # two")
      True
      >>> fingerprint("x = 1") == fingerprint("x = True")
      False
    """
    return _of_code(compiled(text))


def _of_code(code: CodeType) -> Any:
    return (
        code.co_code,
        code.co_names,
        code.co_varnames,
        code.co_freevars,
        code.co_cellvars,
        code.co_flags,
        code.co_argcount,
        code.co_kwonlyargcount,
        code.co_posonlyargcount,
        getattr(code, "co_exceptiontable", b""),
        tuple(_of_constant(value) for value in code.co_consts),
    )


def _of_constant(value: Any) -> Any:
    if isinstance(value, CodeType):
        return _of_code(value)
    if isinstance(value, tuple):
        return ("tuple", *(_of_constant(part) for part in value))
    if isinstance(value, frozenset):
        return ("frozenset", *sorted(written(_of_constant(part)) for part in value))
    return type(value).__name__, written(value)
