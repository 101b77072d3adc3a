"""What the parser's commands lack: options count once, renamed ones say so, no name is empty."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import typer
from typer.core import TyperCommand

RENAMED: Mapping[str, str] = {
    "--bf16": "--dtype bfloat16",
    "--cpu": "--device cpu",
    "--labels": "--estimate",
    "--limit": "--problems",
}
"""Option of earlier versions -> what it is called now, in the commands that have it no more."""


NAMES = frozenset({"model", "policy", "reward", "task"})
"""Arguments that name a file, a folder or something else."""


class OnceCommand(TyperCommand):
    """Refuses old spellings, an option given twice that is not meant to be, and an empty path."""

    paths: Collection[str] = ()
    """Arguments that are files and folders."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words of a command line; called by the parser's library."""
        known = {name for param in self.get_params(ctx) for name in param.opts}
        names = [word.partition("=")[0] for word in args]
        for name in [name for name in names if name in RENAMED and name not in known]:
            new = RENAMED[name]
            if new.split()[0] in known:
                raise typer.BadParameter(f"{name} is called {new} now")
        given, _, order = self.make_parser(ctx).parse_args(args=list(args))
        for param in order:
            self._refuse_empty(param, given.get(param.name))
            if order.count(param) > 1 and not (
                getattr(param, "multiple", False) or getattr(param, "count", False)
            ):
                raise typer.BadParameter(
                    f"{max(param.opts, key=len)} is given {order.count(param)} times; give it once"
                )
        return super().parse_args(ctx, args)

    def _refuse_empty(self, param: Any, given: Any) -> None:
        """Refuse an empty name, as of an unset variable: it would stand for the current folder."""
        values = given if isinstance(given, (list, tuple)) else [given]
        if "" in values and (param.name in self.paths or param.name in NAMES):
            raise typer.BadParameter(f"{max(param.opts, key=len)} is empty, which names nothing")
