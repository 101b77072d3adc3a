"""A subcommand that takes each option once: of two values the parser would drop one without a word."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperCommand


class OnceCommand(TyperCommand):
    """Refuses an option that is given twice, unless it is meant to be repeated."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words of a command line; called by the parser's library."""
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        for param in order:
            if order.count(param) > 1 and not getattr(param, "multiple", False):
                raise typer.BadParameter(
                    f"{max(param.opts, key=len)} is given {order.count(param)} times; give it once"
                )
        return super().parse_args(ctx, args)
