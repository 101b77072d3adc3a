"""Inside the box: what a variant could leave changed for the next of its batch, and how it is told.

Two ways. By its names, before it runs: a variant that names what may reach beyond its own globals,
or see where a value is kept, is not run in a batch at all. By comparison, after it ran: built-ins,
modules, settings.
"""

from __future__ import annotations

import builtins
import collections
import gc
import os
import random
import resource
import signal
import sys
import types
import warnings
from _signal import getsignal  # type: ignore[import-not-found]  # `signal.getsignal` is slow
from collections.abc import Collection
from opcode import opmap
from typing import Any

from stepnav.sandbox.inside import box

MOST_GROWTH_KIB = 16 * 2**10
"""A fork that has used so much more memory than at its start serves no further batch."""

SAFE_MODULES = frozenset({
    "abc", "array", "bisect", "cmath", "collections", "copy", "dataclasses", "datetime", "enum",
    "fractions",
    "functools", "hashlib", "heapq", "itertools", "json", "math", "numbers", "operator", "random",
    "re", "statistics", "string", "sys", "textwrap", "time", "typing",
})  # fmt: skip
"""Modules that a program cannot easily leave changed behind it."""

SUSPICIOUS = frozenset({
    "setattr", "delattr", "exec", "eval", "globals", "vars", "__import__", "__builtins__",
    "__dict__", "__globals__", "__class__", "__subclasses__", "__bases__", "__mro__", "__code__",
    "__closure__", "__defaults__", "setrecursionlimit", "settrace", "setprofile", "modules",
    "_getframe", "register", "cache_clear", "cache_info", "__setattr__", "displayhook",
    "set_int_max_str_digits", "sleep", "tzset", "id", "getattr", "attrgetter", "methodcaller",
    "__getattribute__", "__delattr__", "__del__", "__self__", "__base__", "mro", "tb_frame",
    "__traceback__", "f_back", "f_globals", "f_builtins", "f_locals", "gi_frame", "cr_frame",
    "ag_frame", "open", "dispatch_table", "__all__", "EXCLUDED_ATTRIBUTES", "algorithms_available",
    "algorithms_guaranteed", "samples", "getsizeof", "__sizeof__", "MemoryError",
})  # fmt: skip
"""Names that may reach beyond the program's own globals, or see where a value is kept."""

_VALUES = (int, float, str, bytes, list, dict, set, type(item for item in ""))
HARMLESS = (
    {name for kind in _VALUES for name in dir(kind)} - set(dir(object))
    | {"__init__", "__new__", "__repr__", "__str__", "__format__", "__hash__", "__doc__"}
    | {"__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__enter__", "__exit__"}
    | {"__name__", "__qualname__", "__module__", "__call__", "__slots__", "__post_init__", "_"}
)
"""Methods of values, and what classes define: they reach nothing that is shared."""

_CHANGEABLE = (list, dict, set, bytearray, collections.deque)
_FOREIGN = (sys.stdlib_module_names - SAFE_MODULES) | SUSPICIOUS
_HARMLESS_IN_SYS = frozenset({"maxsize", "float_info", "byteorder", "maxunicode", "version_info"})
_OF_SYS = frozenset(dir(sys)) - _HARMLESS_IN_SYS
_CHANGES_ATTRIBUTE = {opmap["STORE_ATTR"], opmap["DELETE_ATTR"]}


class State:
    """What one variant could leave changed for the next.

    Made in the warm parent: copying the tables in a fork would copy the memory behind them.
    """

    def __init__(self) -> None:
        self._builtins = dict(vars(builtins))
        self._modules = {
            name: (sys.modules[name], dict(vars(sys.modules[name])))
            for name in SAFE_MODULES - {"sys"}
            if name in sys.modules
        }
        self._reaching = _reaching([builtins, *(module for module, _ in self._modules.values())])
        self._settings: tuple[Any, ...] = ()
        self._rare_settings: tuple[Any, ...] = ()
        self._kib = self._free = 0

    def settle(self, channel: int) -> None:
        """Take the settings of this process as the unchanged ones, once."""
        if not self._settings:
            sys.modules[box.MODULE] = types.ModuleType(box.MODULE)  # it is there from now on
            self._settings = self._read_settings()
            self._rare_settings = self._read_rare_settings()
            self._free = _lowest_free(channel)
            self._kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def plain_names(self, code: types.CodeType | None) -> set[str] | None:
        """Return a program's names if by these it can reach only what is its own, else None."""
        if code is None:
            return set()
        codes = _codes(code)
        names = {name for item in codes for name in item.co_names}
        if not names.isdisjoint(_FOREIGN) or not names.isdisjoint(self._reaching):
            return None
        if "sys" in names and not names.isdisjoint(_OF_SYS):
            return None
        if not names.isdisjoint(SAFE_MODULES) and any(map(_changes_attribute, codes)):
            return None  # perhaps one of the module's
        return names

    def is_changed(self, names: Collection[str]) -> bool:
        """Return whether built-ins, settings or the named modules are not as they were."""
        if vars(builtins) != self._builtins or self._read_settings() != self._settings:
            return True
        used = [self._modules[name] for name in self._modules.keys() & names]
        return any(vars(module) != saved for module, saved in used)

    def is_as_at_first(self, channel: int) -> bool:
        """Return whether this process may serve another program's variants.

        What the last ones left is collected, and random numbers begin anew.
        """
        sys.modules[box.MODULE] = types.ModuleType(box.MODULE)
        gc.collect()
        random.seed(0)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - self._kib
        return (
            grown < MOST_GROWTH_KIB
            and _lowest_free(channel) == self._free
            and not self.is_changed(self._modules)
            and self._read_rare_settings() == self._rare_settings
        )

    def _read_settings(self) -> tuple[Any, ...]:
        return (
            sys.getrecursionlimit(), len(sys.modules), sys.gettrace(), sys.getprofile(),
            getsignal(signal.SIGPROF), getsignal(signal.SIGALRM), sys.get_int_max_str_digits(),
            sys.stdin, sys.stdout, sys.stderr, getattr(sys.stdout, "closed", True),
            len(warnings.filters),
        )  # fmt: skip

    def _read_rare_settings(self) -> tuple[Any, ...]:
        return (
            sys.getswitchinterval(), list(sys.path), list(sys.argv),
            sys.displayhook, sys.excepthook, gc.isenabled(), gc.get_threshold(),
            dict(os.environ), list(warnings.filters), signal.getitimer(signal.ITIMER_REAL),
        )  # fmt: skip


def _reaching(modules: list[types.ModuleType]) -> set[str]:
    """Return the names under which modules and their classes hold what could be changed in place.

    Underscored ones all, since some are tables (`_member_map_`) or lead on (`__kwdefaults__`).
    """
    found = {name for kind in (object, type, types.FunctionType) for name in dir(kind)}
    todo: list[Any] = list(modules)
    seen: set[int] = set()
    while todo:
        holder = todo.pop()
        if id(holder) in seen:
            continue
        seen.add(id(holder))
        for name, value in vars(holder).items():
            if name.startswith("_") or isinstance(value, _CHANGEABLE):
                found.add(name)
            elif isinstance(value, type) or _is_part(value):
                todo.append(value)
    return found - HARMLESS


def _is_part(value: object) -> bool:
    """Return whether a value is a module that is reached without naming a foreign one."""
    return isinstance(value, types.ModuleType) and value.__name__.split(".")[0] in SAFE_MODULES - {
        "sys"
    }


def _lowest_free(channel: int) -> int:
    """Return the lowest descriptor that is not open; -1 if there is none."""
    try:
        descriptor = os.dup(channel)
    except OSError:
        return -1
    os.close(descriptor)
    return descriptor


def _codes(code: types.CodeType) -> list[types.CodeType]:
    """Return a code object and all those in it."""
    found = [code]
    for outer in found:
        found += [item for item in outer.co_consts if type(item) is types.CodeType]
    return found


def _changes_attribute(code: types.CodeType) -> bool:
    return not _CHANGES_ATTRIBUTE.isdisjoint(code.co_code[::2])
