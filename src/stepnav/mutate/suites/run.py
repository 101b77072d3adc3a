"""What a test file that was rewritten as `check(candidate)` calls to run its tests: see `suite`.

It stands in for pytest and unittest's runner: parameters, fixtures, set-up and tear-down of one
test, no report.
"""

from __future__ import annotations

import contextlib
import inspect
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any
from unittest import TestCase

from stepnav.core.errors import DataError

Function = Callable[..., Any]
Table = tuple[str | Sequence[str], Iterable[Any]]
"""Names and rows of one `parametrize`."""

LEFT_OUT = frozenset({"skip", "skipif", "xfail"})
"""Rows with such a mark are not run."""

SKIPS = frozenset({"Skipped", "XFailed", "SkipTest"})
"""How `pytest.skip`, `pytest.xfail` and unittest's `skipTest` leave a test, by name: pytest may not
be installed."""


def run(
    test: Function | tuple[type, str],
    tables: Sequence[Table],
    fixtures: Mapping[str, Function],
    always: Sequence[str],
) -> None:
    """Run a test function, or a method of a plain class, once for each row of its tables.

    Args:
      test: the function, or the class and the method's name.
      tables: of its `parametrize` decorators.
      fixtures: the file's fixtures by name.
      always: fixtures that no test has to ask for.
    Raises:
      DataError: it skips itself.
    """
    with _skips_told():
        for rows in itertools.product(*(_rows(*table) for table in tables)):
            known = {name: value for row in rows for name, value in row.items()}
            _run_once(test, known, fixtures, always)


def run_case(case: type[TestCase], name: str) -> None:
    """Run one test of a `unittest.TestCase`; raises what it raises, and as `run`."""
    with _skips_told():
        case.setUpClass()
        try:
            case(name).debug()
        finally:
            case.tearDownClass()
            case.doClassCleanups()


@contextlib.contextmanager
def _skips_told() -> Iterator[None]:
    """Say of a test that skips itself that it cannot judge; it would have failed nobody."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ not in SKIPS:
            raise
        raise DataError(f"it skips itself ({' '.join(str(error).split())})") from None


def _rows(names: str | Sequence[str], values: Iterable[Any]) -> Iterator[dict[str, Any]]:
    keys = names
    if isinstance(names, str):
        keys = [name.strip() for name in names.split(",") if name.strip()]
    is_bare = isinstance(names, str) and len(keys) == 1  # as in pytest: a list of one name unpacks
    for value in values:
        if type(value).__name__ == "ParameterSet":  # pytest.param
            if LEFT_OUT.isdisjoint(mark.name for mark in value.marks):
                yield dict(zip(keys, value.values))
        else:
            yield dict(zip(keys, (value,) if is_bare else value))


def _run_once(
    test: Function | tuple[type, str],
    known: dict[str, Any],
    fixtures: Mapping[str, Function],
    always: Sequence[str],
) -> None:
    closers: list[Iterator[Any]] = []
    function = _method(*test) if isinstance(test, tuple) else test
    try:
        for name in always:
            _value(name, known, fixtures, closers)
        function(**{name: _value(name, known, fixtures, closers) for name in needed(function)})
    finally:
        for closer in reversed(closers):
            next(closer, None)


def _method(owner: type, name: str) -> Function:
    """Return a method of a new object that was set up."""
    instance = owner()
    getattr(instance, "setup_method", lambda: None)()
    method: Function = getattr(instance, name)
    return method


def needed(function: Function) -> list[str]:
    """Return the parameters that have no default."""
    parameters = inspect.signature(function).parameters.values()
    return [one.name for one in parameters if one.default is inspect.Parameter.empty]


def _value(
    name: str,
    known: dict[str, Any],
    fixtures: Mapping[str, Function],
    closers: list[Iterator[Any]],
) -> Any:
    """Return a parameter's value, made by its fixture the first time."""
    if name not in known:
        fixture = fixtures[name]
        made = fixture(**{part: _value(part, known, fixtures, closers) for part in needed(fixture)})
        if inspect.isgenerator(made):
            closers.append(made)
            made = next(made)
        known[name] = made
    return known[name]
