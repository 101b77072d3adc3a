"""Taking the imports of a program out of its test file, which is run where its names are there."""

from __future__ import annotations

import ast


class ImportsTakenOut(ast.NodeTransformer):
    """Rewrites a test file to use the program's names, whatever it calls them, without imports.

    Args:
      module: the program's name.
      defined: what it defines.
    """

    def __init__(self, module: str, defined: frozenset[str]) -> None:
        self._module = module
        self._defined = defined
        self._aliases: set[str] = set()

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.stmt | list[ast.stmt]:
        """Drop an import from the program, or of it; keep its other names as assignments."""
        last = (node.module or "").rpartition(".")[2]
        names = {alias.name for alias in node.names}
        if self._module in names and last != self._module:  # from package import module
            self._aliases |= {a.asname or a.name for a in node.names if a.name == self._module}
            return ast.Pass()
        if last != self._module and not names & {*self._defined, "*"}:
            return node
        renamed = [
            ast.parse(f"{alias.asname} = {alias.name}").body[0]
            for alias in node.names
            if alias.asname not in (None, alias.name)
        ]
        return renamed or ast.Pass()

    def visit_Import(self, node: ast.Import) -> ast.stmt:
        """Drop an import of the program."""
        if all(alias.name.rpartition(".")[2] == self._module for alias in node.names):
            self._aliases |= {alias.asname or alias.name for alias in node.names}
            return ast.Pass()
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """Make `program.name` the name."""
        if node.attr in self._defined and ast.unparse(node.value) in self._aliases:
            return ast.copy_location(ast.Name(node.attr, node.ctx), node)
        self.generic_visit(node)
        return node
