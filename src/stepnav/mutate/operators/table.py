"""The mutation operators: one table, small generators.

A generator is given the program and a place of one of its node kinds and yields edits. It knows
nothing of tests or labels; what does not parse, repeats another mutant, or stands in the prompt is
sorted out in `mutants`. The operators are those of mutation testing (DeMillo, Lipton and Sayward
1978; Offutt et al. 1996) in the shape that Python gives them, and those errors that language models
make: the neighbour's index, the other variable, the similar method.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from stepnav.mutate.operators import calls, expressions, statements, values
from stepnav.mutate.program.edit import Edit, Place, apply_edits
from stepnav.mutate.program.source import Source, parses
from stepnav.mutate.program.steps import Split
from stepnav.mutate.program.walk import places

Generator = Callable[[Source, Place], Iterator[Edit | None]]

OPERATORS: Mapping[str, tuple[tuple[type[ast.AST], ...], Generator]] = {
    "arithmetic": ((ast.BinOp,), expressions.arithmetic),
    "relational": ((ast.Compare,), expressions.relational),
    "logical": ((ast.BoolOp,), expressions.logical),
    "unary": ((ast.UnaryOp, ast.If, ast.While, ast.Return), expressions.unary),
    "operand_deletion": ((ast.BinOp, ast.BoolOp), expressions.operand_deletion),
    "constant": ((ast.Constant,), values.constant),
    "off_by_one": ((ast.Constant, ast.Return, ast.Compare), values.off_by_one),
    "string": ((ast.Constant,), values.string),
    "variable_replacement": ((ast.Name,), values.variable_replacement),
    "index": ((ast.Subscript,), values.index),
    "slice": ((ast.Subscript,), values.slice_bounds),
    "loop_bound": ((ast.Call,), calls.loop_bound),
    "argument_swap": ((ast.Call,), calls.argument_swap),
    "call_deletion": ((ast.Call,), calls.call_deletion),
    "method_swap": ((ast.Call,), calls.method_swap),
    "function_swap": ((ast.Call,), calls.function_swap),
    "condition_drop": (
        (ast.If, ast.While, ast.IfExp, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
        statements.condition_drop,
    ),
    "loop_control": ((ast.Break, ast.Continue), statements.loop_control),
    "return_value": ((ast.Return,), statements.return_value),
    "statement_deletion": (
        (ast.Assign, ast.AugAssign, ast.Expr, ast.Return, ast.Raise),
        statements.statement_deletion,
    ),
    "augmented_assignment": ((ast.AugAssign,), statements.augmented_assignment),
}
"""Operator -> the node kinds it looks at, and its generator."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One changed program.

    Attributes:
      operator: key of `OPERATORS`.
      edit: the change.
      step: index of the step that it stands in.
    """

    operator: str
    edit: Edit
    step: int


def mutants(
    source: Source, split: Split, *, operators: Collection[str] = tuple(OPERATORS)
) -> list[Mutant]:
    """Return the program's mutants in source order, each text once.

    A change in the prompt is none (it is given, not written), nor is one that does not parse. Where
    two operators make the same text, the first in `OPERATORS` has it.
    """
    found: list[Mutant] = []
    seen = {source.text}
    spots = places(source)
    for operator, (kinds, generate) in OPERATORS.items():
        if operator not in operators:
            continue
        for place in (spot for spot in spots if isinstance(spot.node, kinds)):
            for edit in generate(source, place):
                step = None if edit is None else split.step_at(edit.start)
                if edit is None or step is None:
                    continue
                text = apply_edits(source.text, [edit])
                if text not in seen and parses(text):
                    seen.add(text)
                    found.append(Mutant(operator, edit, step))
    return sorted(found, key=lambda mutant: (mutant.edit, mutant.operator))
