"""One line of text per tree node, the same in the growing log, the finished tree and a pipe.

From the left: a mark if the node is on the chosen path, the rating (+, 0 or -) with the reward
model's probability for it, guides that show the depth, the step, and a note on what became of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from stepnav.core.tree import Node
from stepnav.view.clean import clean_line
from stepnav.view.programs import code_text

MAX_WIDTH = 110
PIPE_WIDTH = 110
"""Lines are cut here where there is no terminal to ask for its width."""

MIN_STEP_WIDTH = 16
"""The step's text is never cut below this; the guides of deep nodes are shortened instead."""

RATING_STYLES = {1: "bold green", 0: "bold yellow", -1: "bold red"}
RATING_GLYPHS = {1: "+", 0: "0", -1: "-"}
NOTE_STYLES = {
    "rejected": "red",
    "kept aside": "yellow",
    "cut off": "red",
    "answer": "bold green",
    "solution": "green",
}


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The drawing characters.

    Attributes:
      chosen: mark of a node on the chosen path.
      bar: guide of a level that goes on; `blank` of one that has ended.
      fork, corner: guide of a node that has further siblings, and of a last one.
      back, resume, more: marks of going back, of going on from an older node, of a cut.
      times: sign before a number of repeats.
      dot: separates items.
    """

    chosen: str = "●"
    bar: str = "│ "
    blank: str = "  "
    fork: str = "├╴"
    corner: str = "└╴"
    back: str = "↩"
    resume: str = "↪"
    more: str = "…"
    times: str = "×"  # noqa: RUF001
    dot: str = "·"


UNICODE = Glyphs()
ASCII = Glyphs("*", "| ", "  ", "|-", "`-", "<", ">", "~", "x", "-")


@dataclass(frozen=True, slots=True)
class Canvas:
    """Where lines go: how wide they may be and which characters can be shown."""

    width: int
    glyphs: Glyphs
    encoding: str = "utf-8"

    @classmethod
    def of(cls, console: Console, width: int | None = None) -> Canvas:
        """Return the canvas that fits a console; `width` overrides its own."""
        if width is None:
            width = min(console.width, MAX_WIDTH) if console.is_terminal else PIPE_WIDTH
        glyphs = ASCII if console.options.ascii_only else UNICODE
        return cls(max(width, 40), glyphs, console.encoding)

    def show(self, text: str) -> str:
        """Return foreign text as one line that this canvas can show."""
        return clean_line(text).encode(self.encoding, "replace").decode(self.encoding)

    def show_code(self, text: str) -> str:
        """Return a step of a program as one line with its indentation."""
        line = code_text(text)
        return " " * (len(line) - len(line.lstrip(" "))) + self.show(line)

    def cut(self, text: str, width: int) -> str:
        """Return the text cut to so many columns, with a mark where something is missing."""
        if cell_len(text) <= width:
            return text
        return set_cell_size(text, max(width - 1, 0)).rstrip() + self.glyphs.more


def node_line(canvas: Canvas, node: Node, guides: str, *, is_code: bool = False) -> Text:
    """Return the line of a node.

    Args:
      canvas: where it goes.
      node: any node but the root.
      guides: what stands before the step to show its depth.
      is_code: whether the step is of a program and keeps its indentation.
    """
    line = Text(no_wrap=True, overflow="ignore")
    is_chosen = node.status == "chosen"
    line.append(
        f" {canvas.glyphs.chosen if is_chosen else ' '} ", "bold green" if is_chosen else ""
    )
    line.append_text(_rating_text(node))
    note = node_note(canvas, node)
    guides = _shorten_guides(canvas, guides, line.cell_len + len(note) + 2)
    line.append(guides, "dim")
    room = canvas.width - line.cell_len - (len(note) + 2 if note else 0)
    shown = canvas.show_code(node.step.text) if is_code else canvas.show(node.step.text)
    step = canvas.cut(shown or "(empty)", max(room, MIN_STEP_WIDTH))
    line.append(step, "bold" if is_chosen else "dim" if node.status == "dead" else "")
    if note:
        line.append(" " * max(room - cell_len(step), 0) + "  ")
        line.append(note, NOTE_STYLES.get(note.partition(",")[0], "dim"))
    return line


def mark_line(canvas: Canvas, glyph: str, guides: str, text: str, style: str = "dim") -> Text:
    """Return a line that is not a node: going back, or going on from an older node."""
    line = Text(no_wrap=True, overflow="ignore")
    line.append(f" {glyph} " + " " * _RATING_WIDTH, style)
    guides = _shorten_guides(canvas, guides, line.cell_len)
    line.append(guides, "dim")
    line.append(canvas.cut(text, max(canvas.width - line.cell_len, MIN_STEP_WIDTH)), style)
    return line


def node_note(canvas: Canvas, node: Node) -> str:
    """Return what became of a node in a few words, empty if it simply went on."""
    words = []
    if node.status == "dead":
        words.append("dead end" if node.children else _dead_leaf_word(node))
    elif node.is_finished:
        words.append("answer" if node.status == "chosen" else "solution")
    elif node.status == "neutral":
        words.append("kept aside")
    if node.duplicates:
        words.append(f"{canvas.glyphs.times}{node.duplicates + 1}")
    return ", ".join(words)


def legend(canvas: Canvas) -> str:
    """Return one line that explains the marks."""
    dot = f" {canvas.glyphs.dot} "
    return dot.join(
        [
            "+ right",
            "0 neutral",
            "- wrong, each with how sure the reward model is",
            f"{canvas.glyphs.chosen} chosen",
            f"{canvas.glyphs.times}n drawn n times",
        ]
    )


_RATING_WIDTH = len("+  99%  ")


def _rating_text(node: Node) -> Text:
    """Return the rating and the probability that the reward model gives it."""
    if node.score is None:
        value = "" if node.value is None else f"{node.value:.2f}"
        return Text(f"{value:>{_RATING_WIDTH - 2}}  ", "dim")
    rating = node.score.rating
    chance = (node.score.negative_prob, node.score.neutral_prob, node.score.positive_prob)[
        rating + 1
    ]
    return Text.assemble(
        (RATING_GLYPHS[rating], RATING_STYLES[rating]), (f"{100 * chance:>4.0f}%  ", "dim")
    )


def _dead_leaf_word(node: Node) -> str:
    """Return why a node without children is dead."""
    if node.step.finish == "length":
        return "cut off"
    return "rejected" if node.score is not None and node.score.rating < 0 else "dropped"


def _shorten_guides(canvas: Canvas, guides: str, taken: int) -> str:
    """Return the guides, those of the outer levels replaced by a mark if there is no room."""
    room = canvas.width - taken - MIN_STEP_WIDTH
    if len(guides) <= max(room, 4):
        return guides
    return canvas.glyphs.more + " " + guides[-(max(room, 4) // 2 * 2 - 2) :]
