from __future__ import annotations

import pytest

from stepnav.mutate.program.rewrites import REWRITES, decoyed, decoys
from stepnav.mutate.program.source import parse
from stepnav.mutate.program.steps import split_steps

HEAD = "def f(a, b):\n"

TABLE = [
    ("mirror_comparison", "return a < len(b)", "return len(b) > a"),
    ("mirror_comparison", "return a == b + 1", "return b + 1 == a"),
    ("commute", "return a + 1", "return 1 + a"),
    ("commute", "return 2 * (a - b)", "return (a - b) * 2"),
    ("commute", "return (a - b) * 2", "return 2 * (a - b)"),
    ("double_negation", "if a == b:\n    pass", "if not (a != b):\n    pass"),
    ("parenthesise", "return a + b", "return (a + b)"),
    ("spell_out", "a += 1", "a = a + 1"),
    ("contract", "a = a * 2", "a *= 2"),
    ("requote", "return 'x'", 'return "x"'),
    ("rename_local", "x = a\nreturn x", "value = a\nreturn value"),
]


def program(body: str) -> str:
    return HEAD + "".join(f"    {line}\n" for line in body.splitlines())


def rewritten(text: str, rewrite: str) -> list[str]:
    source = parse(text)
    found = decoys(source, split_steps(source))
    return [decoyed(source, decoy) for decoy in found if decoy.rewrite == rewrite]


@pytest.mark.parametrize(("rewrite", "before", "after"), TABLE)
def test_before_and_after(rewrite: str, before: str, after: str) -> None:
    assert program(after) in rewritten(program(before), rewrite)


def test_every_rewrite_is_in_the_table() -> None:
    assert {rewrite for rewrite, _, _ in TABLE} == set(REWRITES)


@pytest.mark.parametrize(
    ("rewrite", "body"),
    [
        ("mirror_comparison", "return a.pop() < b.pop()"),
        ("mirror_comparison", "return a < b < 3"),
        ("commute", "return a + b"),
        ("commute", "return a + 'x'"),
        ("double_negation", "return a == b"),
        ("spell_out", "a += [1]"),
        ("spell_out", "a += b"),
        ("contract", "a = b + 1"),
        ("contract", "a = 1 + a"),
        ("requote", "return 'it\\'s'"),
        ("rename_local", "a = b\nreturn a"),
        ("rename_local", "global x\nx = a"),
        ("rename_local", "x = a\nreturn f'{x}'"),
    ],
)
def test_what_is_not_safe_is_left_alone(rewrite: str, body: str) -> None:
    assert rewritten(program(body), rewrite) == []


def test_a_decoy_gives_the_same_values() -> None:
    text = (
        "def f(a, b):\n    total = 0\n    for x in range(a):\n        if x != b:\n"
        "            total += 2\n            total = total + 3\n    return total + 1\n"
    )
    source = parse(text)

    def run(program_text: str) -> list[int]:
        names: dict[str, object] = {}
        exec(program_text, names)
        return [names["f"](a, b) for a in range(6) for b in range(6)]  # type: ignore[operator]

    found = decoys(source, split_steps(source))
    assert {decoy.rewrite for decoy in found} >= {
        "commute",
        "rename_local",
        "spell_out",
        "contract",
    }
    for decoy in found:
        assert run(decoyed(source, decoy)) == run(text)
