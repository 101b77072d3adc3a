"""A user's own test file as one `check(candidate)`.

Three kinds of file are read: bare asserts, a function `check(candidate)`, and pytest's `test_*`
functions with plain asserts. They run outside the box, in the trusted parent, against a proxy of
the function under test: the tests are the user's own code and are trusted, the mutants are not.
Fixtures, parametrised tests and test classes are not read; they are refused by name.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from stepnav.core.errors import DataError
from stepnav.mutate.calls import called_names
from stepnav.mutate.program.source import parse

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def read_suite(program: str, tests: str, *, program_name: str, tests_name: str) -> tuple[str, str]:
    """Return the text of a `check(candidate)` and the name of the function under test.

    Args:
      program: the program's text.
      tests: the test file's text.
      program_name, tests_name: what to call them in messages.
    Raises:
      DataError: the file does not parse, holds no tests, calls no function of the program or
        several, or holds tests of a kind that is not read.
    """
    body = parse(tests, tests_name).tree.body
    _refuse_unreadable(body, tests_name)
    defined = [n.name for n in parse(program, program_name).tree.body if isinstance(n, _FUNCTIONS)]
    if any(isinstance(node, _FUNCTIONS) and node.name == "check" for node in body):
        entry = _only(_called(tests, defined) or defined[-1:], program_name, tests_name)
        return tests, entry
    checks = [n.name for n in body if isinstance(n, _FUNCTIONS) and n.name.startswith("test")]
    if not checks and not any(isinstance(node, ast.Assert) for node in body):
        raise DataError(
            f"{tests_name} holds no tests; it needs assert statements, a function "
            "check(candidate), or functions test_*"
        )
    entry = _only(_called(tests, defined), program_name, tests_name)
    return _as_check(body, checks, entry), entry


def _as_check(body: Sequence[ast.stmt], checks: Sequence[str], entry: str) -> str:
    """Return `check(candidate)` with the whole file in it, so that the entry point is the proxy."""
    imports = [node for node in body if isinstance(node, (ast.Import, ast.ImportFrom))]
    kept = [node for node in imports if not _brings(node, entry)]
    inner = [node for node in body if node not in imports]
    lines = ["def check(candidate):", f"    {entry} = candidate"]
    for node in inner:
        lines += ["    " + line for line in ast.unparse(node).splitlines()]
    lines += [f"    {name}()" for name in checks]
    return "\n".join([*(ast.unparse(node) for node in kept), *lines]) + "\n"


def _brings(node: ast.Import | ast.ImportFrom, entry: str) -> bool:
    """Return whether an import is how the test file gets at the program."""
    names = [alias.name for alias in node.names]
    return isinstance(node, ast.ImportFrom) and (entry in names or "*" in names)


def _called(tests: str, defined: Sequence[str]) -> list[str]:
    return [name for name in called_names([tests]) if name in defined]


def _only(names: Sequence[str], program_name: str, tests_name: str) -> str:
    if len(names) == 1:
        return names[0]
    what = f"several functions of it ({', '.join(names)})" if names else "no function of it by name"
    raise DataError(
        f"{tests_name} must call one function of {program_name}, and calls {what}; "
        "give one test file for each function"
    )


def _refuse_unreadable(body: Sequence[ast.stmt], name: str) -> None:
    for node in body:
        is_test = isinstance(node, _FUNCTIONS) and node.name.startswith("test")
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            raise DataError(f"{name}: the test class {node.name} is not read; use functions test_*")
        if isinstance(node, ast.AsyncFunctionDef) and is_test:
            raise DataError(f"{name}: {node.name} is async, which is not read; use plain functions")
        if isinstance(node, _FUNCTIONS) and is_test and (_takes_arguments(node)):
            raise DataError(
                f"{name}: {node.name} takes arguments (a fixture or a parameter), which is not "
                "read; use functions test_* without arguments"
            )


def _takes_arguments(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return bool(node.args.args or node.args.kwonlyargs or node.args.posonlyargs)
