"""What the parser's own commands lack: an option counts once, and one that was renamed says so."""

from __future__ import annotations

from collections.abc import Mapping
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


class OnceCommand(TyperCommand):
    """Refuses old spellings, and an option given twice that is not meant to be repeated."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words of a command line; called by the parser's library."""
        known = {name for param in self.get_params(ctx) for name in param.opts}
        names = [word.partition("=")[0] for word in args]
        for name in [name for name in names if name in RENAMED and name not in known]:
            new = RENAMED[name]
            if new.split()[0] in known:
                raise typer.BadParameter(f"{name} is called {new} now")
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        for param in order:
            if order.count(param) > 1 and not (
                getattr(param, "multiple", False) or getattr(param, "count", False)
            ):
                raise typer.BadParameter(
                    f"{max(param.opts, key=len)} is given {order.count(param)} times; give it once"
                )
        return super().parse_args(ctx, args)
