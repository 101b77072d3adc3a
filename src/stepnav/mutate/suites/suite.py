"""A user's own test file as `check(candidate)`, one for each function of the program that it tests.

Read are bare asserts, a function `check(candidate)`, pytest's functions and plain classes with
`parametrize` and the file's own fixtures, and `unittest.TestCase`. They run outside the box, in the
trusted parent, against a proxy of the function under test; the program's other functions are the
reference's. A test that cannot be run so (async, skipped, a fixture that is not in the file, a
decorator that is not known) is left out, and the reason told.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from stepnav.core.errors import DataError
from stepnav.mutate.program.source import parse
from stepnav.mutate.suites.excerpt import bound_names, closure, used_names, uses_of
from stepnav.mutate.suites.imports import ImportsTakenOut
from stepnav.tasks.inputs.calls import called_names

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
DEFINITIONS = (*FUNCTIONS, ast.ClassDef)
IMPORTS = (ast.Import, ast.ImportFrom)
RUNNER = "_suite_run"
FIXTURES = "_fixtures"
NOT_RUN = ("skip", "skipif", "skipIf", "skipUnless", "xfail", "expectedFailure", "usefixtures")
"""Decorators whose tests are not run, or not as they stand."""


@dataclass(frozen=True, slots=True)
class Test:
    """One test of a file.

    Attributes:
      name: as pytest names it: `test_a`, `TestA::test_a`; empty for asserts at the top of the file.
      call: the statement that runs it.
      uses: all names that it may use, its helpers' too.
    """

    name: str
    call: str
    uses: frozenset[str]


@dataclass(slots=True)
class SuiteFile:
    """A test file, read.

    Attributes:
      imports: its imports but those of the program.
      body: everything else, without the decorators that were understood.
      tests: those that can be run.
      left_out: "test: why" of the others.
      fixtures: names of the file's fixtures -> their functions.
      always: fixtures that no test has to ask for.
    """

    imports: list[ast.stmt] = field(default_factory=list)
    body: list[ast.stmt] = field(default_factory=list)
    tests: list[Test] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    fixtures: dict[str, str] = field(default_factory=dict)
    always: list[str] = field(default_factory=list)

    def check(self, entry: str, tests: Sequence[Test], program: str = "") -> str:
        """Return `check(candidate)` around the whole file, so that the entry point is the proxy.

        Args:
          entry: the function under test.
          tests: those to run.
          program: the whole program, where the reference is an excerpt and tests use more of it.
        """
        pairs = ", ".join(f"{name!r}: {function}" for name, function in self.fixtures.items())
        calls = "\n".join([f"{FIXTURES} = {{{pairs}}}", *(test.call for test in tests)])
        check = ast.parse("def check(candidate): pass").body[0]
        assert isinstance(check, ast.FunctionDef), "it was just written"
        check.body = [
            *ast.parse(f"{entry} = candidate").body, *self.body, *ast.parse(calls).body,
        ]  # fmt: skip
        runner = ast.parse(f"import stepnav.mutate.suites.run as {RUNNER}").body
        body = [*ast.parse(program).body, *self.imports, *runner, check]
        return ast.unparse(ast.fix_missing_locations(ast.Module(body, []))) + "\n"


def read_check(program: str, tests: str, program_name: str, tests_name: str) -> str | None:
    """Return the entry point of a file that brings its own `check(candidate)`; None if it does not.

    Raises:
      DataError: it calls several functions of the program.
    """
    body = parse(tests, tests_name).tree.body
    if not any(isinstance(node, FUNCTIONS) and node.name == "check" for node in body):
        return None
    defined = defined_names(program, program_name)
    called = [name for name in called_names([tests]) if name in defined] or defined[-1:]
    if len(called) != 1:
        raise DataError(
            f"{tests_name}: check(candidate) must test one function of {program_name}, and calls "
            f"{', '.join(called) or 'none'}; give one test file for each function"
        )
    return called[0]


def defined_names(program: str, program_name: str) -> list[str]:
    """Return the functions and classes of a program."""
    body = parse(program, program_name).tree.body
    return [node.name for node in body if isinstance(node, DEFINITIONS)]


def read_suite(
    tests: str,
    tests_name: str,
    *,
    module: str,
    defined: Sequence[str],
    folders: Sequence[str] = (),
) -> SuiteFile:
    """Return a test file with its tests.

    Args:
      tests: the file's text.
      tests_name: what to call it in messages.
      module: name of the program, as the file imports it.
      defined: what the program defines.
      folders: names of the folders that the program lies in, outermost first.
    Raises:
      DataError: the file does not parse or holds no tests.
    """
    taken_out = ImportsTakenOut(module, frozenset(defined), folders)
    tree = taken_out.visit(parse(tests, tests_name).tree)
    suite = SuiteFile()
    uses = uses_of(tree.body)
    found: list[tuple[ast.FunctionDef, ast.ClassDef | None]] = []
    for node in tree.body:
        if isinstance(node, IMPORTS):
            if getattr(node, "module", "") != "__future__":  # it would have to come first
                suite.imports.append(node)
            continue
        if isinstance(node, FUNCTIONS):
            _take_fixture(node, suite)
        found += _tests_in(node)
        suite.body.append(node)
    of_class = {owner.name: owner.decorator_list for _, owner in found if owner is not None}
    for function, owner in found:
        shared = of_class[owner.name] if owner is not None else []
        _take_test(function, owner, [*shared, *function.decorator_list], suite, uses)
    asserts = [node for node in tree.body if isinstance(node, ast.Assert)]
    if asserts:
        names = set[str]().union(*map(used_names, asserts))
        suite.tests.append(Test("", "", frozenset(closure(names, uses))))
    if not suite.tests and not suite.left_out:
        raise DataError(
            f"{tests_name} holds no tests; it needs assert statements, a function "
            "check(candidate), functions test_* or unittest.TestCase"
        )
    if not _needs_pytest(suite):
        suite.imports = [node for node in suite.imports if bound_names(node) != {"pytest"}]
    return suite


def _tests_in(node: ast.stmt) -> Iterator[tuple[ast.FunctionDef, ast.ClassDef | None]]:
    """Yield the tests of a statement of the file, each with its class."""
    if isinstance(node, FUNCTIONS) and node.name.startswith("test"):
        yield node, None  # type: ignore[misc]  # async ones are left out later
    if isinstance(node, ast.ClassDef) and (node.name.startswith("Test") or _is_case(node)):
        for inner in node.body:
            if isinstance(inner, FUNCTIONS) and inner.name.startswith("test"):
                yield inner, node  # type: ignore[misc]


def _is_case(node: ast.ClassDef) -> bool:
    return any(ast.unparse(base).rpartition(".")[2].endswith("TestCase") for base in node.bases)


def _take_fixture(node: ast.FunctionDef | ast.AsyncFunctionDef, suite: SuiteFile) -> None:
    """Register a function if it is a fixture that is understood, and take off the decorator."""
    if len(node.decorator_list) != 1 or isinstance(node, ast.AsyncFunctionDef):
        return
    path, keywords = _decorator(node.decorator_list[0])
    if path[-1] != "fixture" or "params" in keywords:
        return
    name = keywords.get("name")
    known = name.value if isinstance(name, ast.Constant) else node.name
    suite.fixtures[str(known)] = node.name
    always = keywords.get("autouse")
    if isinstance(always, ast.Constant) and always.value:
        suite.always.append(str(known))
    node.decorator_list = []


def _take_test(
    node: ast.FunctionDef,
    owner: ast.ClassDef | None,
    decorators: list[ast.expr],
    suite: SuiteFile,
    uses: dict[str, set[str]],
) -> None:
    """Add a test to those that can be run, or to those that are left out."""
    name = node.name if owner is None else f"{owner.name}::{node.name}"
    tables = [table for one in decorators if (table := _table(one)) is not None]
    reason = _why_not(node, owner, decorators, suite)
    if reason is not None:
        suite.left_out.append(f"{name}: {reason}")
        (owner.body if owner else suite.body).remove(node)
        if owner is not None and not owner.body:
            owner.body.append(ast.Pass())
        return
    definitions: list[ast.FunctionDef | ast.ClassDef] = [node, *([owner] if owner else [])]
    for definition in definitions:
        kept = [one for one in definition.decorator_list if not _is_understood(one)]
        definition.decorator_list = kept
    if owner is not None and _is_case(owner):
        call = f"{RUNNER}.run_case({owner.name}, {node.name!r})"
    else:
        target = node.name if owner is None else f"({owner.name}, {node.name!r})"
        rows = "".join(f"({names}, {values}), " for names, values, _ in tables)
        call = f"{RUNNER}.run({target}, [{rows}], {FIXTURES}, {suite.always!r})"
    names = used_names(node) | set().union(*(used_names(one) for one in decorators))
    names |= {owner.name} if owner else set()
    names |= {suite.fixtures.get(one, one) for one in [*names, *suite.always]}
    suite.tests.append(Test(name, call, frozenset(closure(names, uses))))


def _why_not(
    node: ast.FunctionDef, owner: ast.ClassDef | None, decorators: list[ast.expr], suite: SuiteFile
) -> str | None:
    """Return why a test cannot be run here; None if it can."""
    if isinstance(node, ast.AsyncFunctionDef):
        return "it is async"
    given: set[str] = set()
    for one in decorators:
        path, keywords = _decorator(one)
        table = _table(one)
        if path[-1] in NOT_RUN:
            return f"it is marked {path[-1]}"
        if table is not None:
            given |= table[2]
        if (table is None and not _is_understood(one)) or "indirect" in keywords:
            return f"its decorator {ast.unparse(one)[:60]} is not known"
    arguments = [*node.args.posonlyargs, *node.args.args]
    wanted = arguments[: len(arguments) - len(node.args.defaults)][1 if owner else 0 :]
    for argument in wanted:
        if argument.arg not in given and argument.arg not in suite.fixtures:
            return f"the fixture {argument.arg} is not in the file, or has params"
    return None


def _decorator(node: ast.expr) -> tuple[list[str], dict[str, ast.expr]]:
    """Return a decorator's dotted name, in parts, and its keywords."""
    call = node if isinstance(node, ast.Call) else None
    words = {str(word.arg): word.value for word in call.keywords} if call else {}
    return ast.unparse(call.func if call else node).split("."), words


def _table(node: ast.expr) -> tuple[str, str, set[str]] | None:
    """Return names, rows and single names of a `parametrize` as texts; None if it is none."""
    path, words = _decorator(node)
    if path[-1] != "parametrize" or not isinstance(node, ast.Call):
        return None
    parts = [*node.args, *(words[key] for key in ("argnames", "argvalues") if key in words)]
    try:
        names = ast.literal_eval(parts[0])
    except (ValueError, IndexError):
        return None
    single = names.split(",") if isinstance(names, str) else list(names)
    return repr(names), ast.unparse(parts[1]), {name.strip() for name in single if name.strip()}


def _is_understood(node: ast.expr) -> bool:
    """Return whether a decorator is `parametrize` or a mark of the user's, which does nothing."""
    path, _ = _decorator(node)
    return _table(node) is not None or (path[-2:-1] == ["mark"] and path[-1] not in NOT_RUN)


def _needs_pytest(suite: SuiteFile) -> bool:
    """Return whether more than the decorators names pytest, which may not be installed."""
    nodes = [*suite.body, *(ast.parse(test.call) for test in suite.tests)]
    return any("pytest" in used_names(node) for node in nodes)
