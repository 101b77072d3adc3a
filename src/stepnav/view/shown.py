"""A finished search that shows itself: in a terminal, and as its page in a notebook."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from html import escape

from stepnav.core.outcome import SearchResult
from stepnav.core.tree import Tree

FRAME_HEIGHT_PX = 640
"""Of a tree's page in a notebook, which scrolls inside it."""


@dataclass(frozen=True, slots=True)
class ShownTree:
    """The tree of a finished search.

    Attributes:
      result: the search.
      is_correct: the grade of its answer, None if there is none.
    """

    result: SearchResult
    is_correct: bool | None = None

    @property
    def tree(self) -> Tree:
        """The nodes, for programs."""
        return self.result.tree

    def show(self) -> None:
        """Print the tree and what came of it."""
        from rich.console import Console

        from stepnav.view.terminal import print_tree
        from stepnav.view.verdict import print_verdict

        console = Console(highlight=False, markup=False, emoji=False, file=sys.stdout)
        print_tree(console, self.tree)
        reference = self.tree.problem.answer
        print_verdict(console, self.result, is_correct=self.is_correct, reference=reference)

    def page(self) -> str:
        """Return the tree as one self-contained HTML page."""
        from stepnav.view.page import render_page

        return render_page(self.tree, result=self.result, is_correct=self.is_correct)

    def _repr_html_(self) -> str:
        """Return the page in a frame of its own, so that its style stays inside."""
        return (
            f'<iframe srcdoc="{escape(self.page(), quote=True)}" '
            f'style="width:100%;height:{FRAME_HEIGHT_PX}px;border:0"></iframe>'
        )
