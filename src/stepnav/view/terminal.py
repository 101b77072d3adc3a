"""Search trees on the terminal: one that grows while the search runs, and the finished one.

Both print plain lines without escape codes into a pipe or a file, and ASCII where the terminal can
show nothing else. Everything shown is made from `Text` objects, so model text is never read as
markup; control characters are removed (`clean.py`).
"""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from stepnav.core.records import Problem
from stepnav.core.tree import ROOT_INDEX, Node, Status, Tree
from stepnav.view.clean import clean_block
from stepnav.view.lines import (
    MIN_STEP_WIDTH,
    Canvas,
    Glyphs,
    legend,
    mark_line,
    node_line,
)
from stepnav.view.programs import is_program


def print_tree(console: Console, tree: Tree, *, show_dead: bool = True) -> None:
    """Print problem, tree and legend."""
    canvas = Canvas.of(console)
    print_problem(console, canvas, tree.problem)
    for line in tree_lines(tree, canvas, show_dead=show_dead):
        print_line(console, line)
    print_line(console, Text())
    print_line(console, Text(f" {legend(canvas)}", "dim"))


def tree_lines(tree: Tree, canvas: Canvas, *, show_dead: bool = True) -> list[Text]:
    """Return one line per node, parents before children, siblings in order of proposal.

    In programs only forks are indented, and all text begins in one column: blanks there count.
    """
    is_code = is_program(tree.problem, (node.step.text for node in tree.nodes[1:]))
    rows = _guided_nodes(tree, canvas.glyphs, show_dead, nests_chains=not is_code)
    width = max((len(guides) for _, guides in rows), default=0) if is_code else 0
    return [node_line(canvas, node, guides.ljust(width), is_code=is_code) for node, guides in rows]


def _guided_nodes(
    tree: Tree, glyphs: Glyphs, show_dead: bool, *, nests_chains: bool
) -> list[tuple[Node, str]]:
    """Return the nodes in order, each with the guides that stand before it."""
    rows: list[tuple[Node, str]] = []
    waiting = [(index, "", last) for index, last in _shown_children(tree, tree.root, show_dead)]
    waiting.reverse()
    nested = {index: nests_chains or len(waiting) > 1 for index, _, _ in waiting}
    while waiting:
        index, guides, is_last = waiting.pop()
        node = tree.nodes[index]
        fork, below = "", ""
        if nested[index]:
            fork = glyphs.corner if is_last else glyphs.fork
            below = glyphs.blank if is_last else glyphs.bar
        rows.append((node, guides + fork))
        children = _shown_children(tree, node, show_dead)
        nested.update((child, nests_chains or len(children) > 1) for child, _ in children)
        waiting.extend((child, guides + below, last) for child, last in reversed(children))
    return rows


def print_problem(console: Console, canvas: Canvas, problem: Problem) -> None:
    """Print the question, broken into lines on a terminal and whole in a pipe, and a blank line.

    That of a program keeps its lines.
    """
    head = " Problem  "
    lines = [Text(canvas.show(problem.question))]
    if is_program(problem):
        shown = clean_block(problem.question).strip("\n").split("\n")
        lines = [Text(canvas.show_code(line)) for line in shown]
    if console.is_terminal:
        room = max(canvas.width - len(head), MIN_STEP_WIDTH)
        lines = [part for line in lines for part in line.wrap(console, room)]
    for position, line in enumerate(lines):
        line.rstrip()
        lead = head if position == 0 else " " * len(head)
        print_line(console, Text.assemble((lead, "bold"), line))
    print_line(console, Text())


def print_line(console: Console, line: Text) -> None:
    """Print a line as it is; only lines longer than a terminal are wrapped by rich."""
    if console.is_terminal:
        console.print(line, highlight=False, overflow="fold", end="\n")
    else:
        console.print(line, highlight=False, soft_wrap=True, end="\n")


class TreeFollower:
    """Prints each step of a search as it comes; give it to `Tree(on_change=...)`.

    A new node is held back until it is rated or decided, so that each step is one line. Where the
    search goes back, or goes on from an older node, a line says so.

    Args:
      console: where to print.
      width: columns; None takes the terminal's.
    Example:
      >>> import io
      >>> from stepnav.core.records import Problem, Step, StepScore
      >>> console = Console(file=io.StringIO())
      >>> follower = TreeFollower(console)
      >>> tree = Tree(Problem("p", "2 + 2 = ?"), on_change=follower)
      >>> follower.start(tree.problem)
      >>> node = tree.add(tree.root, Step("It is 4."), StepScore.from_rating(1))
      >>> follower.finish()
      >>> print(console.file.getvalue(), end="")
       Problem  2 + 2 = ?
      <BLANKLINE>
         + 100%  It is 4.
    """

    def __init__(self, console: Console, *, width: int | None = None) -> None:
        self.console = console
        self.canvas = Canvas.of(console, width)
        self._nodes: dict[int, Node] = {}
        self._pending: dict[int, Node] = {}
        self._shown: dict[int, Status] = {}
        self._is_code = False
        self._path: list[int] = []  # by depth: the node that the next line stands below

    def start(self, problem: Problem) -> None:
        """Print the question."""
        print_problem(self.console, self.canvas, problem)

    def __call__(self, node: Node) -> None:
        """Take a node that was added, scored or marked."""
        if node.index == ROOT_INDEX:
            return
        self._is_code = self._is_code or is_program(node.trajectory.problem)
        if node.index in self._shown:
            self._show_change(node)
            return
        self._nodes[node.index] = self._pending[node.index] = node
        if node.status == "chosen":
            self.finish()
        elif node.status != "open" or node.score is not None:
            self._show(node)

    def finish(self) -> None:
        """Print what is still held back; call it when the search has ended."""
        for node in list(self._pending.values()):
            self._show(node)

    def _show(self, node: Node) -> None:
        """Print a node that was held back, those above it first."""
        held: list[Node] = []
        while node.index in self._pending:
            held.append(self._pending.pop(node.index))
            if node.parent == ROOT_INDEX:
                break
            node = self._nodes[node.parent]
        for one in reversed(held):
            self._show_line(one)

    def _show_line(self, node: Node) -> None:
        """Print a node below those that are printed."""
        if node.parent != ROOT_INDEX and self._path[: node.depth - 1][-1:] != [node.parent]:
            self._show_resumption(self._nodes[node.parent])
        if node.status not in ("dead", "neutral"):
            self._go_to(node)
        self._shown[node.index] = node.status
        guides = self._guides(node.depth)
        print_line(self.console, node_line(self.canvas, node, guides, is_code=self._is_code))

    def _show_change(self, node: Node) -> None:
        """Print that the search gave up a node, or took up one that it had set aside."""
        before, self._shown[node.index] = self._shown[node.index], node.status
        if before == "neutral" and node.status == "accepted":
            self._show_resumption(node)
        elif before not in ("accepted", "open") or node.status != "dead":
            return
        elif node.children:
            draws = sum(1 + self._nodes[index].duplicates for index in node.children)
            repeats = draws - len(node.children)
            said = f"back: {draws} steps tried here" + (f", {repeats} repeated" if repeats else "")
            self._print_mark(self.canvas.glyphs.back, node.depth + 1, f"{said}, none holds")
        else:
            self._print_mark(" ", node.depth, f"dropped: {self.canvas.show(node.step.text)}")

    def _show_resumption(self, node: Node) -> None:
        """Print that the search goes on from a node shown earlier."""
        text = f"on from: {self.canvas.show(node.step.text)}"
        self._print_mark(self.canvas.glyphs.resume, node.depth, text)
        self._go_to(node)

    def _go_to(self, node: Node) -> None:
        """Remember which node the next line stands below."""
        del self._path[node.depth - 1 :]
        missing = node.depth - 1 - len(self._path)
        self._path += [ROOT_INDEX] * missing + [node.index]

    def _print_mark(self, glyph: str, depth: int, text: str) -> None:
        line = mark_line(self.canvas, glyph, self._guides(depth), text, "cyan")
        print_line(self.console, line)

    def _guides(self, depth: int) -> str:
        """Return what shows the depth; a program has none, as its own indentation counts."""
        return "" if self._is_code else self.canvas.glyphs.bar * (depth - 1)


def _shown_children(tree: Tree, node: Node, show_dead: bool) -> list[tuple[int, bool]]:
    """Return the children to show, and for each whether it is the last one."""
    shown = [i for i in node.children if show_dead or tree.nodes[i].status != "dead"]
    return [(index, index == shown[-1]) for index in shown]
