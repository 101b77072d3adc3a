"""Draws the functions of the micro-python task: their parts, code, and the question for it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from stepnav.tasks.micro_python.kinds import KINDS, FunctionKind
from stepnav.tasks.micro_python.parts import Change, Condition, Fold

NUM_STAGES = (1, 2, 2, 3, 3)
"""How many things a loop does, each as likely as the others."""
MAX_DEPTH = 2
"""Conditions that the rest of the loop is nested in."""
ENDING_PROB = 0.35
INVERSE_PROB = 0.3
"""Chance that a condition is told by what it drops."""

Lines = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """One part of a function.

    Attributes:
      lines: its code, indented relative to where it stands.
      says: ways to ask for it; empty where its neighbour says it.
      opens: whether what follows is nested in it.
      slips: how it is easily got wrong: other lines in its place; no lines leave it out.
    """

    lines: Lines
    says: tuple[str, ...]
    opens: bool = False
    slips: tuple[Lines, ...] = ()


@dataclass(frozen=True, slots=True)
class Spec:
    """The structure behind one problem.

    Attributes:
      kind: what it loops over.
      start: the statement before the loop.
      pieces: the loop's header, what happens in it, and the return, in order.
      constants: numbers and letters in it, for inputs that are near to them.
    """

    kind: FunctionKind
    start: str
    pieces: tuple[Piece, ...]
    constants: tuple[object, ...]

    @property
    def header(self) -> str:
        """The first line, which belongs to the question."""
        return f"def solve({self.kind.parameter}):"

    @property
    def body(self) -> list[str]:
        """The lines after the header, each with its newline."""
        lines, depth = [indented(self.start, 1)], 1
        for piece in self.pieces[:-1]:
            lines += [indented(line, depth) for line in piece.lines]
            depth += piece.opens
        return lines + [indented(line, 1) for line in self.pieces[-1].lines]

    @property
    def program(self) -> str:
        """The whole function."""
        return self.header + "\n" + "".join(self.body)

    def slipped(self, *, dropped_only: bool = False) -> list[Spec]:
        """Return the functions that differ in one slip."""
        return [
            self._with(number, slip)
            for number, piece in enumerate(self.pieces)
            for slip in (piece.slips[:1] if dropped_only else piece.slips)
        ]

    def _with(self, number: int, lines: Lines) -> Spec:
        piece = self.pieces[number]
        other = replace(piece, lines=lines, opens=piece.opens and bool(lines))
        return replace(self, pieces=(*self.pieces[:number], other, *self.pieces[number + 1 :]))


def indented(line: str, depth: int) -> str:
    """Return the line at a depth of four blanks each, with its newline."""
    return "    " * depth + line + "\n"


def draw_spec(rng: random.Random) -> Spec:
    """Return a function drawn from `rng`, which is consumed."""
    return _Composer(rng).compose()


def tell(spec: Spec, rng: random.Random) -> str:
    """Return the sentence that asks for a function, in wordings drawn from `rng`."""
    clauses = [rng.choice(piece.says) for piece in spec.pieces if piece.says]
    name = f"solve({spec.kind.parameter})"
    style = rng.randrange(4)
    if style == 0:
        return f"The function {name} {clauses[0]}. It " + ". It ".join(clauses[1:]) + "."
    opening = ("Write a function {} that ", "Write {}, which ", "Define {}, which ")[style - 1]
    joiner = (", ", ", then ", ", ")[style - 1]
    return opening.format(name) + joiner.join(clauses[:-1]) + f" and {clauses[-1]}."


class _Composer:
    """Draws one function."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.kind = rng.choice(KINDS)
        self.constants: list[object] = []
        self.depth = 0
        self.has_stop = self.has_choice = False

    def compose(self) -> Spec:
        fold = self.rng.choice(self.kind.folds)
        head = self.head()
        stages = [self.stage() for _ in range(self.rng.choice(NUM_STAGES))]
        step, ending = self.ending(fold)
        pieces = (head, *stages, step, ending)
        return Spec(self.kind, self.format(fold.start), pieces, tuple(self.constants))

    def format(self, text: str, **slots: object) -> str:
        return text.format(v=self.kind.variable, **{"k": "", **slots})

    def constant(self, constants: Sequence[object]) -> object:
        """Draw the part's constant and remember it; empty where it has none."""
        if not constants:
            return ""
        self.constants.append(self.rng.choice(constants))
        return self.constants[-1]

    def head(self) -> Piece:
        heads = self.kind.heads
        head = heads[0] if self.rng.random() < 0.5 else self.rng.choice(heads[1:])
        k = self.constant(head.constants)
        lines = tuple(self.format(line, k=k) for line in head.lines)
        says = tuple(self.format(text, k=k) for text in head.says)
        slips = () if head is heads[0] or self.kind.name == "digits" else (heads[0].lines,)
        return Piece(lines, says, opens=True, slips=slips)

    def stage(self) -> Piece:
        draws: list[Callable[[], Piece]] = [self.change] * 7 + [self.some] * 3
        if self.depth < MAX_DEPTH:
            draws += [self.keep] * 8
        if not self.has_choice:
            draws += [self.choose] * 2
        if not self.has_stop:
            draws += [self.stop] * 2
        return self.rng.choice(draws)()

    def keep(self) -> Piece:
        """Go on with those that pass a condition."""
        self.depth += 1
        condition, k = self.condition()
        told, drops = (
            (condition.inverse, True)
            if self.rng.random() < INVERSE_PROB
            else (condition.code, False)
        )
        verbs = ("drops", "leaves out") if drops else ("keeps", "keeps only")
        says = tuple(
            f"{verb} {self.format(ones, k=k)}" for verb in verbs for ones in condition.ones
        )
        return self.guarded(told, k, says, opens=True)

    def stop(self) -> Piece:
        """Leave the loop at a condition."""
        self.has_stop = True
        condition, k = self.condition()
        ones = [self.format(text, k=k) for text in condition.ones]
        says = tuple(
            f"{verb} before the first of {text}" for verb in ("stops", "ends") for text in ones
        )
        return self.guarded(condition.code, k, says, "break")

    def some(self) -> Piece:
        """Change only those that pass a condition."""
        condition, k = self.condition()
        change, c = self.draw_change()
        ones = [self.format(text, k=k) for text in condition.ones]
        says = tuple(self.format(text, k=c, each=group) for text in change.says for group in ones)
        return self.guarded(condition.code, k, says, self.format(change.code, k=c))

    def change(self) -> Piece:
        """Change all of them."""
        change, k = self.draw_change()
        says = tuple(self.format(text, k=k, each="each") for text in change.says)
        near = [self.format(change.code, k=other) for other in neighbours(k)]
        return Piece(
            (self.format(change.code, k=k),), says, slips=((), *((line,) for line in near))
        )

    def choose(self) -> Piece:
        """Change those that pass a condition in one way and the others in another."""
        self.has_choice = True
        condition, k = self.condition()
        (one, a), (other, b) = self.draw_change(inline=True), self.draw_change(inline=True)
        test = self.format(condition.code, k=k)
        left, right = self.format(one.value, k=a), self.format(other.value, k=b)
        ones = [self.format(text, k=k) for text in condition.ones]
        says = tuple(
            (
                f"{self.format(first, k=a, each=group)} and "
                f"{self.format(second, k=b, each='the others')}"
            )
            for first in one.says
            for second in other.says
            for group in ones
        )
        line = f"{self.kind.variable} = {{}} if {{}} else {{}}"
        slips = ((), (line.format(right, test, left),), (line.format(left, test, left),))
        return Piece((line.format(left, test, right),), says, slips=slips)

    def condition(self) -> tuple[Condition, object]:
        condition = self.rng.choice(self.kind.conditions)
        return condition, self.constant(condition.constants)

    def draw_change(self, *, inline: bool = False) -> tuple[Change, object]:
        change = self.rng.choice([c for c in self.kind.changes if c.value or not inline])
        return change, self.constant(change.constants)

    def guarded(
        self, test: str, k: object, says: tuple[str, ...], inner: str = "", *, opens: bool = False
    ) -> Piece:
        """Return `if test:` with the statement in it, if any."""
        rest = (f"    {inner}",) if inner else ()
        texts = [self.format(test, k=other) for other in (k, *neighbours(k))]
        texts += [strict for strict in [flipped(texts[0])] if strict]
        lines = [(f"if {text}:", *rest) for text in texts]
        return Piece(lines[0], says, opens, ((), *lines[1:]))

    def ending(self, fold: Fold) -> tuple[Piece, Piece]:
        """Return the fold's step and the return statement."""
        step = (self.format(fold.step),)
        if self.rng.random() >= ENDING_PROB:
            says = tuple(f"returns {noun}" for noun in fold.nouns)
            return Piece(step, ()), Piece((f"return {self.format(fold.result)}",), says)
        ending = self.rng.choice(fold.endings)
        k = self.constant(ending.constants)
        code = [ending.code.format(r=fold.result, k=other) for other in (k, *neighbours(k))]
        verbs = ("takes", "works out")
        taken = Piece(step, tuple(f"{verb} {noun}" for verb in verbs for noun in fold.nouns))
        says = tuple(text.format(k=k) for text in ending.says)
        slips = tuple((f"return {text}",) for text in (fold.result, *code[1:]))
        return taken, Piece((f"return {code[0]}",), says, slips=slips)


def neighbours(constant: object) -> tuple[object, ...]:
    """Return the constants beside a number; none beside a letter."""
    return (constant + 1, constant - 1) if isinstance(constant, int) else ()


def flipped(test: str) -> str:
    """Return a comparison with its equality the other way, or an empty text."""
    for sign, other in ((">=", ">"), ("<=", "<"), (" > ", " >= "), (" < ", " <= ")):
        if sign in test:
            return test.replace(sign, other, 1)
    return ""
