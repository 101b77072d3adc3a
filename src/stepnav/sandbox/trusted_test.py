"""The test itself, run in the trusted parent: never in the box, never with the candidate's names.

HumanEval: `check(candidate)` runs in the namespace of the trusted reference, so that a test that
calls the entry point or a helper by name gets the reference's. MBPP: every name that the asserts
use and that is no built-in and no module stands for the candidate's. Both see a `random` module of
their own, seeded anew for each run, so that a test asks the same each time.
"""

from __future__ import annotations

import ast
import builtins
import importlib.util
import threading
import types
import warnings
from typing import Any

from stepnav.core.errors import DataError
from stepnav.sandbox.control import CONTROL_NAME, ControlError, Session, guarded
from stepnav.sandbox.inside.boot import WARM_MODULES
from stepnav.sandbox.proxy import Candidate
from stepnav.sandbox.records import Suite
from stepnav.sandbox.unseen import (
    UNSEEN_NAME,
    UnseenError,
    blinded,
    can_peek,
    unseen_value,
)

MODULES = frozenset({*WARM_MODULES, "sys"})
"""Names that mean the module where a test reads an attribute of them, as in `sys.getsizeof(x)`."""

_local = threading.local()


class TrustedTest:
    """A test, compiled once and run as often as there are candidates.

    Args:
      problem: the test and its reference.

    Raises:
      DataError: the test or the reference does not parse or load, or there is nothing to run.
    """

    def __init__(self, problem: Suite) -> None:
        self.problem = problem
        text = f"{problem.setup}\n{problem.test}" if problem.style == "mbpp" else problem.test
        tree = _parsed(text, "test")
        self.lines = text.splitlines()
        self._names: frozenset[str] = frozenset()
        self._modules: frozenset[str] = frozenset()
        self._reference: types.CodeType | None = None
        self._helpers_peek = False
        if problem.style == "mbpp":
            if not any(isinstance(node, ast.Assert) for node in ast.walk(tree)):
                raise DataError("the test has no assert statement")
            self._modules = _modules(tree, problem.entry_point)
            self._names = _foreign_names(tree, problem.entry_point) - self._modules
        else:
            self._take_reference()
        self._code = _compiled(guarded(tree), "test")
        self.can_peek = can_peek(tree) or self._helpers_peek
        self._blind_code = _compiled(blinded(tree), "test")

    def run(self, session: Session, *, is_blind: bool = False) -> None:
        """Run the test against a session; raises what the test raises.

        Args:
          session: answers it.
          is_blind: whether it is `blinded`, and not shown what the reference's entry point gives.
        """
        _random().seed(0)
        namespace = {} if self._reference is None else _loaded(self._reference)
        if is_blind:
            namespace[self.problem.entry_point] = unseen_value
        namespace |= {"__name__": "stepnav_test", "__builtins__": _BUILTINS}
        for name in self._modules:
            namespace[name] = _module(name)
        for name in self._names:
            namespace[name] = Candidate(session, name)
        exec(self._blind_code if is_blind else self._code, namespace)
        if self.problem.style == "humaneval":
            check = namespace.get("check")
            if not callable(check):
                raise DataError("a humaneval test must define check(candidate)")
            check(Candidate(session, self.problem.entry_point))

    def _take_reference(self) -> None:
        if self.problem.reference is None:
            return
        tree = _parsed(self.problem.reference, "reference")
        self._helpers_peek = any(
            can_peek(node)
            or any(isinstance(one, (ast.Is, ast.IsNot, ast.Try)) for one in ast.walk(node))
            for node in tree.body
            if not (isinstance(node, ast.FunctionDef) and node.name == self.problem.entry_point)
        )
        tree = guarded(tree)
        self._reference = _compiled(tree, "reference")
        try:
            _loaded(self._reference)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise DataError(
                f"the reference does not load: {type(error).__name__}: {error}"
            ) from None


def _parsed(text: str, what: str) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes are common in benchmark code
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise DataError(f"the {what} does not parse: {error}") from None


def _compiled(tree: ast.Module, what: str) -> types.CodeType:
    """Return code that no option of the interpreter makes say less."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `is` with a literal, and the like
            return compile(tree, f"<{what}>", "exec", dont_inherit=True, optimize=0)
    except (SyntaxError, ValueError, RecursionError) as error:
        raise DataError(f"the {what} does not compile: {error}") from None


def _loaded(reference: types.CodeType) -> dict[str, Any]:
    """Return a reference's names, run anew so that no test sees another's traces in it."""
    namespace: dict[str, Any] = {"__name__": "stepnav_reference", "__builtins__": _BUILTINS}
    exec(reference, namespace)
    return namespace


def _foreign_names(tree: ast.Module, entry_point: str) -> frozenset[str]:
    """Return the names that the test uses and Python does not have, and the entry point."""
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return frozenset(used - set(vars(builtins)) | {entry_point})


def _modules(tree: ast.Module, entry_point: str) -> frozenset[str]:
    bases = {
        node.value.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }
    return frozenset((bases & MODULES) - {entry_point})


def _module(name: str) -> Any:
    return _random() if name == "random" else importlib.import_module(name)


def _random() -> types.ModuleType:
    """Return this thread's own copy of the `random` module."""
    module: types.ModuleType | None = getattr(_local, "random", None)
    if module is None:
        spec = importlib.util.find_spec("random")
        assert spec is not None and spec.loader is not None, "random is in the standard library"
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        _local.random = module
    return module


def _import(name: str, *args: Any, **kwargs: Any) -> Any:
    return _random() if name == "random" else builtins.__import__(name, *args, **kwargs)


_BUILTINS = {
    **vars(builtins), "__import__": _import, CONTROL_NAME: ControlError, UNSEEN_NAME: UnseenError,
}  # fmt: skip
