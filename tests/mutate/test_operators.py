from __future__ import annotations

import ast
import gzip
import json
from pathlib import Path

import pytest

from stepnav.mutate.operators.table import OPERATORS, mutants
from stepnav.mutate.program.edit import apply_edits
from stepnav.mutate.program.source import parse, parses
from stepnav.mutate.program.steps import split_steps

DATA = Path(__file__).parents[3] / "shared" / "data" / "mbpp" / "mbpp.jsonl.gz"
needs_data = pytest.mark.skipif(not DATA.is_file(), reason=f"the MBPP file is not at {DATA}")

TABLE: list[tuple[str, str, list[str]]] = [
    ("arithmetic", "return a + b", ["return a - b", "return a * b"]),
    ("arithmetic", "return a + b * c", ["return a - b * c", "return a * (b * c)"]),
    ("arithmetic", "return (a + b) * c", ["return (a - b) * c", "return (a * b) * c"]),
    ("arithmetic", "return a - b * c", ["return a - (b + c)", "return a - b // c"]),
    ("arithmetic", "return a ** -b", ["return a * -b"]),
    ("arithmetic", "return -a ** b", ["return -(a * b)"]),
    ("arithmetic", "return (a +  # sum\n  b)", ["return (a -  # sum\n  b)"]),
    ("relational", "return a < b", ["return a <= b", "return a >= b"]),
    ("relational", "return a not  in b", ["return a in b"]),
    ("relational", "return 0 <= a != b", ["return 0 < a != b", "return 0 <= a == b"]),
    ("relational", "return a is not None", ["return a is None"]),
    ("logical", "return a and b or c", ["return (a or b) or c", "return a and b and c"]),
    ("logical", "return a or b and c", ["return a and (b and c)", "return a or (b or c)"]),
    ("logical", "return a and b and not c", ["return a or b or not c"]),
    ("unary", "return not a", ["return a"]),
    ("unary", "return -a * b", ["return a * b", "return -(-a * b)"]),
    ("unary", "if a == b:\n    pass", ["if not a == b:\n    pass"]),
    ("unary", "if a or b:\n    pass", ["if not (a or b):\n    pass"]),
    ("operand_deletion", "return a + b * c", ["return a", "return b * c", "return a + c"]),
    ("operand_deletion", "return (a + b) * c", ["return (a) * c", "return (b) * c"]),
    ("operand_deletion", "return a and b and c", ["return b and c", "return a and b"]),
    ("constant", "return True", ["return False"]),
    ("constant", "return 10", ["return 0", "return 1", "return 20"]),
    ("constant", "return 1.5", ["return 3.0", "return 0.0"]),
    ("constant", "return None", ["return 0"]),
    ("off_by_one", "return 10", ["return 11", "return 9"]),
    ("off_by_one", "return a", ["return a + 1", "return a - 1"]),
    ("off_by_one", "return a - 1", ["return a", "return a - 2"]),
    ("off_by_one", "return a < len(b)", ["return a < len(b) + 1", "return a < len(b) - 1"]),
    ("string", 'return "No"', ['return ""', 'return "nO"', 'return "N"']),
    ("string", "return ''", ["return ' '"]),
    ("string", "return ' '", ["return ''", "return '  '"]),
    ("variable_replacement", "return a", ["return b", "return c"]),
    ("index", "return a[b]", ["return a[b + 1]", "return a[b - 1]"]),
    ("index", "return a[0]", ["return a[-1]"]),
    ("index", "return a[b - 1]", ["return a[b]", "return a[b - 2]"]),
    (
        "slice",
        "return a[1:b]",
        ["return a[:b]", "return a[2:b]", "return a[1:]", "return a[1:b + 1]"],
    ),
    ("slice", "return a[::-1]", ["return a[::]", "return a[::1]"]),
    ("slice", "return a[:]", ["return a[1:]"]),
    ("loop_bound", "return range(a)", ["return range(1, a)", "return range(a + 1)"]),
    ("loop_bound", "return range(1, b)", ["return range(b)", "return range(0, b)"]),
    ("loop_bound", "return range(a, b, -1)", ["return range(a, b)", "return range(a, b, 1)"]),
    ("argument_swap", "return f(a, b, c)", ["return f(b, a, c)", "return f(a, c, b)"]),
    ("argument_swap", "return f((a), b)", ["return f((b), a)"]),
    ("call_deletion", "return abs(a + b) * c", ["return (a + b) * c"]),
    ("call_deletion", "return a.strip()", ["return a"]),
    ("call_deletion", "return sum(x for x in a)", ["return (x for x in a)"]),
    ("method_swap", "return a.lower()", ["return a.upper()"]),
    ("function_swap", "return max(a, b)", ["return min(a, b)"]),
    ("function_swap", "return math.ceil(a)", ["return math.floor(a)"]),
    ("condition_drop", "if a > b:\n    pass", ["if True:\n    pass"]),
    ("condition_drop", "while a > b:\n    pass", ["while False:\n    pass"]),
    ("condition_drop", "return a if b else c", ["return a", "return c"]),
    ("condition_drop", "return [x for x in a if x]", ["return [x for x in a]"]),
    ("condition_drop", "return sum(x for x in a if (x > b))", ["return sum(x for x in a)"]),
    (
        "loop_control",
        "for x in a:\n    break",
        ["for x in a:\n    continue", "for x in a:\n    pass"],
    ),
    ("return_value", "return a", ["return None"]),
    ("return_value", "return a, b", ["return b, a", "return None"]),
    ("statement_deletion", "a = 1", ["pass"]),
    ("augmented_assignment", "a += 1", ["a -= 1", "a = 1"]),
    ("augmented_assignment", "a //= b", ["a %= b", "a = b"]),
]

HEAD = "def f(a, b, c):\n"


def program(body: str) -> str:
    return HEAD + "".join(f"    {line}\n" for line in body.splitlines())


def changed(text: str, operator: str) -> list[str]:
    source = parse(text)
    found = mutants(source, split_steps(source), operators=[operator])
    return [apply_edits(text, [mutant.edit]) for mutant in found]


@pytest.mark.parametrize(("operator", "before", "after"), TABLE)
def test_before_and_after(operator: str, before: str, after: list[str]) -> None:
    texts = changed(program(before), operator)
    for wanted in after:
        assert program(wanted) in texts


def test_every_operator_is_in_the_table() -> None:
    assert {operator for operator, _, _ in TABLE} == set(OPERATORS)


@pytest.mark.parametrize(
    ("operator", "body"),
    [
        ("string", '"""Doc."""\nreturn a'),
        ("constant", "x: 3 = a\nreturn x"),
        ("string", "return f'{a[0]} is'"),
        ("variable_replacement", "return len"),
        ("statement_deletion", "pass"),
        ("call_deletion", "a.sort()"),
        ("call_deletion", "return math.sqrt(a, b)"),
    ],
)
def test_what_is_left_alone(operator: str, body: str) -> None:
    assert changed(program(body), operator) == []


def test_the_prompt_is_never_changed() -> None:
    text = "import os.path\ndef f(a=1, b='x'):\n    return a\n"
    source = parse(text)
    found = mutants(source, split_steps(source))
    assert found
    assert min(mutant.edit.start for mutant in found) > text.index(":\n")


def test_a_variable_is_replaced_by_one_that_holds_a_value_there() -> None:
    text = "def f(a):\n    x = a\n    y = [z for z in a]\n    return x\n"
    texts = changed(text, "variable_replacement")
    assert text.replace("x = a", "x = y") not in texts
    assert text.replace("return x", "return y") in texts
    assert text.replace("return x", "return z") not in texts


def test_non_ascii_text_stays() -> None:
    text = "def f(a, b):\n    return 'ä€' + a if a else b + 'ü'\n"
    assert "def f(a, b):\n    return 'ä€' + a if a else b - 'ü'\n" in changed(text, "arithmetic")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_character_outside_the_span_stays(end: str) -> None:
    text = end.join(["def f(a,  b):", "\tx = ( a+b )  # sum", "\treturn  x[ 0 ]", ""])
    source = parse(text)
    for mutant in mutants(source, split_steps(source)):
        new = apply_edits(text, [mutant.edit])
        start, end_ = mutant.edit.start, mutant.edit.end
        assert new[:start] == text[:start]
        assert new[start + len(mutant.edit.text) :] == text[end_:]
        assert parses(new)


class _Swapped(ast.NodeTransformer):
    """Puts another operator at the n-th operation of a tree."""

    def __init__(self, number: int, op: ast.operator) -> None:
        self.number, self.op, self.seen = number, op, -1

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.seen += 1
        if self.seen == self.number:
            return ast.BinOp(node.left, self.op, node.right)
        self.generic_visit(node)
        return node


@pytest.mark.parametrize("expression", [
    "a + b * c - a", "a * (b + c) * a", "a - (b - c)", "a ** b ** c", "(a ** b) ** c",
    "-a ** b % c", "a // b % c * a", "a << b + c", "a | b & c ^ a", "a + (b, c)[0] * a",
    "not a + b", "f(a - b)[c * a] + b", "(a if b else c) + a", "[a * b for a in c + a]",
])  # fmt: skip
def test_operands_stay_operands(expression: str) -> None:
    """A changed operator gives the tree with that one operator changed, whatever binds tighter."""
    text = program(f"return {expression}")
    trees = {ast.dump(ast.parse(new)) for new in changed(text, "arithmetic")}
    count = sum(isinstance(node, ast.BinOp) for node in ast.walk(ast.parse(text)))
    wanted = set()
    for number in range(count):
        for op in (ast.Add(), ast.Mult(), ast.Sub(), ast.FloorDiv(), ast.Mod(), ast.Div(),
                   ast.RShift(), ast.BitOr(), ast.BitAnd(), ast.BitXor()):  # fmt: skip
            wanted.add(ast.dump(_Swapped(number, op).visit(ast.parse(text))))
    assert trees
    assert trees <= wanted


@needs_data
@pytest.mark.realdata
def test_all_mutants_of_real_programs() -> None:
    with gzip.open(DATA, "rt", encoding="utf-8") as file:
        texts = [json.loads(line)["code"] for line in file][::20]
    total = 0
    for text in texts:
        source = parse(text)
        found = mutants(source, split_steps(source))
        new = [apply_edits(text, [mutant.edit]) for mutant in found]
        assert len(set(new)) == len(new)
        assert text not in new
        total += len(new)
    assert total > 30 * len(texts)
