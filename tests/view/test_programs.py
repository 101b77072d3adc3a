from __future__ import annotations

import time

import pytest

from stepnav.core.records import Problem
from stepnav.view.lines import UNICODE, Canvas
from stepnav.view.programs import code_text, is_program
from stepnav.view.terminal import TreeFollower, print_tree, tree_lines
from stepnav.view.verdict import program_lines
from tests.view.trees import backtracking_tree, code_tree, pipe, printed


@pytest.mark.parametrize(
    ("question", "texts", "metadata", "expected"),
    [
        ("def f(x):\n", [], {}, True),
        ("Write f.", ["    return 1\n"], {}, True),
        ("Write f.", ["    kept = []\n", "    for x in xs:\n"], {}, True),
        ("anything", [], {"entry_point": "solve"}, True),
        ("Tom has 3 bags.", ["If he eats 2, 10 are left.", "for 3 days: 4"], {}, False),
        ("Let x > 3.", ["\\begin{align}\n  x = 5\n\\end{align}", "import taxes rise"], {}, False),
    ],
)
def test_is_program(
    question: str, texts: list[str], metadata: dict[str, str], expected: bool
) -> None:
    assert is_program(Problem("p", question, None, metadata), texts) is expected


def test_blank_lines_are_searched_in_linear_time() -> None:
    began = time.process_time()
    for text in ("\n" * 40_000, "  \n" * 40_000):
        assert not is_program(Problem("p", text, None))
    assert time.process_time() - began < 1


def test_code_text() -> None:
    assert code_text("\n\n\tx = 1\n\n\ty = 2  \n") == "    x = 1\n\n    y = 2"


def test_a_finished_program_stands_in_one_column() -> None:
    console = pipe()
    print_tree(console, code_tree())
    lines = [line.rstrip() for line in printed(console).splitlines()]
    assert lines[:2] == [" Problem  def f(x):", "              # one more"]
    assert [line[:40].rstrip() for line in lines[3:7]] == [
        " ● +  98%        if x is None:",
        " ● +  98%            x = 0",
        "   -  97%  ├╴    return x",
        " ● +  98%  └╴    return x + 1",
    ]


def test_a_growing_program_keeps_its_indentation() -> None:
    console = pipe()
    follower = TreeFollower(console)
    tree = code_tree(on_change=follower)
    follower.finish()
    assert [line[11:35].rstrip() for line in printed(console).splitlines()] == [
        "    if x is None:",
        "        x = 0",
        "    return x",
        "    return x + 1",
    ]
    assert "│ └╴#### 10" not in str(tree_lines(tree, Canvas(80, UNICODE)))
    prose = tree_lines(backtracking_tree(), Canvas(80, UNICODE))
    assert prose[2].plain[11:].startswith("│   └╴#### 10"), "prose is nested by depth as before"


def test_an_answer_keeps_its_lines() -> None:
    lines = program_lines(Canvas(80, UNICODE), "def f(x):\n\n\treturn x\x1b[31m\n")
    assert [line.plain for line in lines[1:]] == [
        "          def f(x):",
        "          ",
        "              return x",
    ]
