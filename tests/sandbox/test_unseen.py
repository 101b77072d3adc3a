"""Which calls may be in the box before the answers to earlier ones have left it."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from stepnav.sandbox import Sandbox, Suite, judge_batch, judge_problem, prepare

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux")

REFERENCE = (
    "def f(x): return x\ndef g(x): return [x]\nclass Node:\n    def __init__(self, v): self.v = v\n"
)
FIXED = {
    "asserts": "assert f(1) == 1\nassert not f(0)\nassert f(None) is None",
    "loop": "for i in range(3):\n    assert f(i) == i",
    "kept": "out = []\nfor i in range(3):\n    out.append(f(i))\nassert out == [0, 1, 2]",
    "number kept": "out = []\nfor i in range(3):\n    out.append(f(i))\nassert f(len(out)) == 3",
    "own function": "def same(a, b):\n    if a != b:\n        raise KeyError\nsame(f(1), 1)\n"
    "same(f(2), 2)\nassert True",
    "changed after": "a = [2]\nassert f(a) == a\nassert g(a) == [[2]]",
    "objects": "n = Node(3)\nn.v = 4\nassert f([n, Node(1)]) is not None\nassert g(5) == [5]",
    "random": "import random\nassert f(random.random()) < 2\nassert f(random.random()) < 2",
    "long": "assert f(600) == " + " + ".join(["1"] * 600),
    "caught": "try:\n    f(1)\nexcept ValueError:\n    pass\nassert f(2) == 2",
}
HANGING = {
    "nested": "assert f(f([3, 1])) == [3, 1]",
    "stored": "x = f([3, 1])\nassert x == [3, 1]\nassert f(x) == [3, 1]",
    "inside": "x = f(3)\nassert g([[x]]) == [[[3]]]",
    "text": "x = f('a')\nassert f(f'{x}b') == 'ab'",
    "length": "assert f(len(f([3, 1]))) == 2",
    "type": "assert f(str(type(f(1)))) == \"<class 'int'>\"",
    "identity": "x = f(1)\nassert f(id(x) == id(1)) is True",
    "pattern": "x = f(None)\nmatch x:\n    case None:\n        assert f(2) == 2",
    "sequence": "x = f(1)\nmatch x:\n    case [*_]: pass\n    case _:\n        assert f(2) == 2",
    "name of type": "x = f(1)\nn = 5 if type(x).__name__ == 'list' else 2\nassert f(n) == 2",
    "callable": "n = 2 + (not callable(f(1)))\nassert f(2) == 2",
    "is_": "import operator\nx = operator.is_(f(1), None)\nassert f(2) == 2",
    "type error": "x = f(1)\ntry:\n    ''.join([x])\n    n = 3\nexcept TypeError:\n    n = 2\n"
    "assert f(n) == 2",
    "instance": "x = f(1)\nif not isinstance(x, list):\n    assert f(2) == 2",
    "copied": "import copy\nassert f(copy.deepcopy(f([1]))) == [1]",
    "condition": "if f(1) == 1:\n    assert f(2) == 2",
    "none": "if f(None) is None:\n    assert f(2) == 2",
    "conjunction": "assert f(1) == 1 and f(2) == 2",
    "elements": "for i in f([1, 2]):\n    assert f(i) == i",
    "count": "x = 3\nwhile x:\n    x = f(x - 1)\nassert True",
    "attribute": "n = Node(3)\nassert f(n.v) == 3",
    "in place": "a = [3, 1]\na_sorted = sort(a)\nassert a == [1, 3]\nassert f(a) == [1, 3]",
    "exception": "try:\n    fail(1)\nexcept ValueError as error:\n    assert f(str(error)) == '1'",
    "suppressed": "import contextlib\nx = 1\nwith contextlib.suppress(BaseException):\n"
    "    x = 1 + f(1)\nassert f(x) == 2",
}
MORE = "def sort(a): a.sort()\ndef fail(x): raise ValueError(x)\n"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox("unsafe") as box:
        yield box


@pytest.mark.parametrize("name", [*FIXED, *HANGING])
def test_calls_that_hang_on_answers_are_known(sandbox: Sandbox, name: str) -> None:
    test = (FIXED | HANGING)[name]
    problem = Suite(test, "f", "mbpp", REFERENCE + MORE)
    assert prepare(sandbox, problem).has_fixed_calls is (name in FIXED)
    assert judge_problem(sandbox, problem, REFERENCE + MORE).status == "passed"


@pytest.mark.parametrize(
    ("test", "is_fixed"),
    [
        ("    x = f(3)\n    assert candidate(3) == x\n    assert candidate(x) == 3\n", False),
        ("    assert candidate(3) == 3\n    assert candidate(h(3)) == 3\n", False),
        ("    x = f(3)\n    assert candidate(3) == x\n    assert candidate(4) == f(4)\n", True),
        ("    assert candidate(g(3)) == [3]\n", True),
        ("    n = 4 if absent(candidate(3)) else 5\n    assert candidate(n) == 5\n", False),
    ],
)
def test_what_the_reference_gives_is_an_answer_too(
    sandbox: Sandbox, test: str, is_fixed: bool
) -> None:
    text = f"def h(x): return f(x)\ndef check(candidate):\n{test}"
    reference = REFERENCE + ("def absent(x): return x is None\n" if "absent" in test else "")
    problem = Suite(text, "f", "humaneval", reference)
    assert prepare(sandbox, problem).has_fixed_calls is is_fixed
    assert judge_problem(sandbox, problem, reference).status == "passed"


AHEAD = """
import sys
def f(x):
    from stepnav.sandbox.codec import decode
    frame = sys._getframe()
    while "operations" not in frame.f_locals: frame = frame.f_back
    asked = [decode(decode(item)[2])[0][0] for item in frame.f_locals["operations"]]
    return asked[asked.index(x) + 1] if x in asked[:-1] else x
"""


@pytest.mark.parametrize(
    "test", ["assert f(f([3, 1])) == [1, 3]", "x = f([3, 1])\nassert x == [1, 3]\nassert f(x) == x"]
)
def test_no_expected_value_is_found_ahead_in_the_box(sandbox: Sandbox, test: str) -> None:
    problem = Suite(test, "f", "mbpp", "def f(x): return sorted(x)")
    assert judge_problem(sandbox, problem, AHEAD).status == "failed"  # it finds no call at all
    variants = ["def f(x): return x", "def f(x):\n    x = sorted(x)\n    return x"]
    assert [v.status for v in judge_batch(sandbox, problem, variants)] == ["failed", "passed"]
