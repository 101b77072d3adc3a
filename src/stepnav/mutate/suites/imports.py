"""Taking the imports of a program out of its test file, which is run where its names are there.

An oracle that has the name of a function of the program (`from math import gcd as math_gcd`) stays
what it is: nothing of the standard library is the program, and an import from a module of another
name is only taken for one if it cannot be the oracle beside it. Where such an oracle has the bare
name, and the program's function is `program.gcd`, the oracle gets another.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Sequence
from typing import Literal

Origin = Literal["program", "perhaps", "other"]
"""What an import is from. "perhaps" is a module that may hand on the program's names: it counts as
the program where the test file has no import that is surely of the program."""

_ORACLE = "oracle_"


class ImportsTakenOut(ast.NodeTransformer):
    """Rewrites a test file to use the program's names, whatever it calls them, without imports.

    Args:
      module: the program's name.
      defined: what it defines.
      folders: the names of the folders it lies in, outermost first: packages that may hold it.
    """

    def __init__(self, module: str, defined: frozenset[str], folders: Sequence[str] = ()) -> None:
        self._module = module
        self._defined = defined
        self._folders = tuple(folders)
        self._aliases: set[str] = set()
        self._has_program = False
        self._oracles: set[str] = set()

    def visit_Module(self, node: ast.Module) -> ast.Module:
        """Rewrite a file, once it is known whether one of its imports is surely of the program."""
        parts = list(ast.walk(node))
        self._has_program = any(map(self._is_of_program, parts))
        imports = [part for part in parts if isinstance(part, ast.ImportFrom)]
        given, others = set[str](), set[str]()
        for part in imports:
            names = others if self._is_left(part) else given
            names |= {alias.asname or alias.name for alias in part.names}
        if self._has_program and "*" not in given:
            self._oracles = others & self._defined - given
        self.generic_visit(node)
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.stmt | list[ast.stmt]:
        """Drop an import from the program, or of it; keep its other names as assignments."""
        if self._is_left(node):
            for alias in node.names:
                if (alias.asname or alias.name) in self._oracles:
                    alias.asname = f"{_ORACLE}{alias.asname or alias.name}"
            return node
        is_from_program = self._is_module(node.module or "")
        if not is_from_program:  # from package import module
            self._aliases |= {a.asname or a.name for a in node.names if a.name == self._module}
        renamed = [
            ast.parse(f"{alias.asname} = {alias.name}").body[0]
            for alias in node.names
            if _is_renamed(alias) and (is_from_program or alias.name in self._defined)
        ]
        return renamed or ast.Pass()

    def visit_Import(self, node: ast.Import) -> ast.stmt:
        """Drop an import of the program."""
        of_program = [alias for alias in node.names if self._is_module(alias.name)]
        self._aliases |= {alias.asname or alias.name for alias in of_program}
        others = [alias for alias in node.names if alias not in of_program]
        return ast.copy_location(ast.Import(others), node) if others else ast.Pass()

    def visit_Name(self, node: ast.Name) -> ast.Name:
        """Make the name of an oracle the one that it has now."""
        if node.id in self._oracles:
            return ast.copy_location(ast.Name(f"{_ORACLE}{node.id}", node.ctx), node)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """Make `program.name` the name."""
        if node.attr in self._defined and ast.unparse(node.value) in self._aliases:
            return ast.copy_location(ast.Name(node.attr, node.ctx), node)
        self.generic_visit(node)
        return node

    def _is_left(self, node: ast.ImportFrom) -> bool:
        """Return whether an import is not of the program."""
        origin = self._origin(node)
        return origin == "other" or (origin == "perhaps" and self._has_program)

    def _is_of_program(self, node: ast.AST) -> bool:
        """Return whether a node is an import that is surely of the program."""
        if isinstance(node, ast.ImportFrom):
            return self._origin(node) == "program"
        return isinstance(node, ast.Import) and any(
            self._is_module(alias.name) for alias in node.names
        )

    def _origin(self, node: ast.ImportFrom) -> Origin:
        """Return what an import is from."""
        parts = node.module.split(".") if node.module else []
        if self._is_module(node.module or ""):
            return "program"
        if not node.level and parts[0] in sys.stdlib_module_names:
            return "other"
        names = {alias.name for alias in node.names}
        is_package = self._may_hold(parts) and not names.isdisjoint({*self._defined, "*"})
        if is_package or self._module in names - self._defined:
            return "program"
        own = [alias for alias in node.names if alias.name in {*self._defined, "*"}]
        return "perhaps" if own and not any(map(_is_renamed, own)) else "other"

    def _is_module(self, dotted: str) -> bool:
        return dotted.rpartition(".")[2] == self._module

    def _may_hold(self, parts: list[str]) -> bool:
        """Return whether a package's name is that of folders that the program lies in."""
        width = len(parts)
        return any(
            list(self._folders[start : start + width]) == parts
            for start in range(len(self._folders) - width + 1)
        )


def _is_renamed(alias: ast.alias) -> bool:
    return alias.asname not in (None, alias.name)
