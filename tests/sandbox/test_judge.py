from __future__ import annotations

import ast
import gzip
import json
import random
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from stepnav.core.errors import DataError
from stepnav.sandbox import Limits, Sandbox, Suite, judge, judge_batch, judge_problem, prepare
from stepnav.sandbox.trusted_test import TrustedTest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux")

DATA = Path(__file__).parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"the benchmark files are not at {DATA}")

SLOW_MBPP = {123}
"""References that take seconds."""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox("process", limits=Limits(cpu_s=2.0, wall_s=30.0, memory_bytes=128 * 2**20)) as box:
        yield box


def mbpp(test: str, reference: str, entry_point: str = "f", setup: str = "") -> Suite:
    return Suite(test, entry_point, "mbpp", reference, setup)


DOUBLE = mbpp("assert f(1) == 2\nassert f(3) == 6", "def f(x): return x + x")


@pytest.mark.parametrize(
    ("source", "status", "detail"),
    [
        ("def f(x): return 2 * x", "passed", ""),
        ("def f(x): return 2", "failed", "assert f(3) == 6"),
        ("def f(x): return str(x)", "failed", "assert f(1) == 2"),
        ("def f(x): return None + x", "error", "TypeError"),
        ("def g(x): return 2 * x", "error", "NameError: name 'f' is not defined"),
        ("def f(x:", "error", "the program does not load: SyntaxError"),
        ("def f(x):\n    while x: pass", "timeout", "CPU time"),
        ("def f(x):\n    import os; os._exit(1)", "crash", "ended"),
        ("def f(x):\n    a = [0]\n    while True: a += a", "memory", "MemoryError"),
        ("def f(x):\n    assert False", "error", "AssertionError"),
        ("class N(int): pass\ndef f(x): return N(2 * x)", "failed", "assert f(1) == 2"),
        ("def f(x): return (2 * x for _ in 'a')", "failed", "assert f(1) == 2"),
    ],
)
def test_verdicts(sandbox: Sandbox, source: str, status: str, detail: str) -> None:
    verdict = judge_problem(sandbox, DOUBLE, source, cpu_s=0.5)
    assert (verdict.status, verdict.level) == (status, "process")
    assert detail in verdict.detail
    assert judge_batch(sandbox, DOUBLE, [source], cpu_s=0.5)[0].status == status


def test_the_first_wrong_answer_decides_before_a_later_loop(sandbox: Sandbox) -> None:
    source = "def f(x):\n    while x == 3: pass\n    return 0"
    verdict = judge_problem(sandbox, DOUBLE, source, cpu_s=20.0)
    assert verdict.status == "failed"
    assert verdict.cpu_s is not None and verdict.cpu_s < 19


def test_judge_takes_its_problem_in_parts(sandbox: Sandbox) -> None:
    for reference in ("def f(x): return x", None):
        verdict = judge(
            sandbox, source="def f(x): return x", test="assert f(7) == 7", entry_point="f",
            style="mbpp", reference=reference,
        )  # fmt: skip
        assert verdict.status == "passed"


def test_humaneval_names_belong_to_the_reference(sandbox: Sandbox) -> None:
    reference = "def encode(s): return s[::-1]\ndef decode(s): return encode(s)\n"
    test = (
        "from random import choice\n"
        "def check(candidate):\n"
        "    for _ in range(20):\n"
        "        s = ''.join(choice('abc') for _ in range(5))\n"
        "        assert candidate(encode(s)) == s\n"
        "    assert candidate('ab') == decode('ab')\n"
    )
    problem = Suite(test, "decode", "humaneval", reference)
    for source, status in (
        (reference, "passed"),
        ("def encode(s): return s\ndef decode(s): return s\n", "failed"),
        ("def decode(s): return ''.join(reversed(s))\n", "passed"),
    ):
        assert judge_problem(sandbox, problem, source).status == status


def test_the_random_module_of_others_is_left_alone(sandbox: Sandbox) -> None:
    random.seed(5)
    expected = random.Random(5).random()
    test = "import random\nrandom.seed(1)\nassert f(random.random()) is not None"
    assert judge_problem(
        sandbox, mbpp(test, "def f(x): return x"), "def f(x): return x"
    ).status == ("passed")
    assert random.random() == expected


def test_objects_arguments_changed_in_place_and_types(sandbox: Sandbox) -> None:
    reference = (
        "class Node:\n    def __init__(self, v): self.v = v\n"
        "def f(nodes): return sum(n.v for n in nodes)\n"
        "def sort(a): a.sort()\n"
        "def keep(a, kind): return [x for x in a if isinstance(x, kind)]\n"
    )
    test = (
        "n = Node(3)\nn.v = 4\nassert f([n, Node(1)]) == 5\nassert n.v == 4\n"
        "a = [3, 1]\nassert sort(a) is None\nassert a == [1, 3]\n"
        "assert keep([1, 'x'], str) == ['x']\nassert sys.getsizeof(1) == sys.getsizeof(1)"
    )
    problem = mbpp(test, reference)
    assert judge_problem(sandbox, problem, reference).status == "passed"
    broken = reference.replace("a.sort()", "pass")
    assert judge_problem(sandbox, problem, broken).status == "failed"
    assert judge_batch(sandbox, problem, [reference, broken, reference])[1].status == "failed"


def test_a_test_that_diverges_is_asked_live(sandbox: Sandbox) -> None:
    reference = "def step(x): return x - 1\n"
    test = "x = 5\nn = 0\nwhile x > 0:\n    x = step(x)\n    n += 1\nassert n <= 5"
    problem = mbpp(test, reference, "step")
    assert judge_problem(sandbox, problem, "def step(x): return x - 2").status == "passed"
    assert judge_problem(sandbox, problem, "def step(x): return x - 0.5").status == "failed"
    forever = judge_problem(sandbox, problem, "def step(x): return x", cpu_s=0.2)
    assert forever.status == "timeout"


def test_exceptions_can_be_expected(sandbox: Sandbox) -> None:
    test = (
        "try:\n    f(0)\nexcept ValueError as error:\n    assert 'zero' in str(error)\n"
        "else:\n    assert False, 'no error'"
    )
    problem = mbpp(test, "def f(x): raise ValueError('zero')")
    assert (
        judge_problem(sandbox, problem, "def f(x): raise ValueError('is zero')").status == "passed"
    )
    assert judge_problem(sandbox, problem, "def f(x): raise KeyError(x)").status == "error"
    assert judge_problem(sandbox, problem, "def f(x): return x").status == "failed"


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        (mbpp("assert f(1) == 3", "def f(x): return x"), "fails its own test"),
        (mbpp("x = 1", "def f(x): return x"), "no assert"),
        (mbpp("assert True", "def f(x): return x"), "never calls"),
        (mbpp("assert f(1) ==", "def f(x): return x"), "does not parse"),
        (mbpp("assert f(lambda: 1) == 1", "def f(g): return g()"), "'function'"),
        (Suite("x = 1", "f", "humaneval", "def f(): pass"), "must define check"),
        (Suite("def check(c): c()", "f", "humaneval", "1/0"), "reference does not load"),
        (
            Suite("def check(c): c()", "f", "humaneval", "class Q(BaseException): pass\nraise Q"),
            "reference does not load: Q",
        ),
        (Suite("def check(c): c()", "f", "humaneval", "def f(:"), "reference does not parse"),
    ],
)
def test_bad_problems_are_one_clear_line(sandbox: Sandbox, problem: Suite, message: str) -> None:
    with pytest.raises(DataError, match=message) as raised:
        prepare(sandbox, problem)
    assert "\n" not in str(raised.value)


def test_a_candidate_cannot_make_judging_itself_fail(sandbox: Sandbox) -> None:
    problem = mbpp("assert f(1) == f(1)\nassert f(2)", "def f(x): return x")
    for source in ("def f(x): return object()", "def f(x): return [object()]"):
        assert judge_problem(sandbox, problem, source).status == "failed"
        assert judge_batch(sandbox, problem, [source])[0].status == "failed"


REFERENCE = """
import re
def f(words, limit):
    out = {}
    total = 0
    for word in sorted(words):
        if re.match("[a-z]+$", word) and total + len(word) <= limit:
            out[word] = len(word)
            total += len(word)
        while total > limit:
            total -= 1
    return out
"""
CASE = mbpp(
    "assert f(['b', 'aa', '1'], 3) == {'aa': 2, 'b': 1}\nassert f(['abc', 'd'], 3) == {'abc': 3}\n"
    "assert f([], 0) == {}",
    REFERENCE,
)
VARIANTS = [
    REFERENCE,
    *(
        REFERENCE.replace(old, new)
        for old, new in (
            ("<=", "<"),
            ("+ len", "- len"),
            ("total -= 1", "total += 1"),
            ("sorted", "list"),
            ("total > limit", "total >= limit"),
            ("return out", "return None"),
            ("{}", "[]"),
            ("re.match", "re.nothing"),
            ("import re", "import os as re"),
            ("total = 0", "total = ''"),
            ("return out", "raise SystemExit"),
            ("return out", "return f(words, limit)"),
            ("return out", "import builtins; builtins.sorted = list; return out"),
            ("return out", "import os; os._exit(0)"),
            ("return out", "return 'x' * 10**7"),
            ("total > limit", "True"),
            ("import re", "import re; re.match = None"),
            ("return out", "return [0] * 10**10"),
            ("return out", "yield out"),
            ("def f", "def g"),
            ("for word", "for word words"),
            ("(words)", "(words, key=len)"),
        )
    ),
]


@pytest.mark.parametrize("order", [1, -1])
def test_a_batch_gives_the_verdicts_of_single_forks(sandbox: Sandbox, order: int) -> None:
    sources = VARIANTS[::order]
    batch = judge_batch(sandbox, CASE, sources, cpu_s=0.3)
    single = [judge_problem(sandbox, CASE, source, cpu_s=0.3) for source in sources]
    assert [(v.status, v.detail) for v in batch] == [(v.status, v.detail) for v in single]
    assert {"passed", "failed", "error", "timeout", "crash"} <= {v.status for v in batch}


def test_recursion_ends_at_the_same_depth_in_a_batch(sandbox: Sandbox) -> None:
    reference = "def f(x):\n    return x\n"
    deep = (
        "def down(n):\n    try: return down(n + 1)\n    except RecursionError: return n\n"
        "def f(x): return down(0) if x == 1 else x\n"
    )
    problem = mbpp("assert f(1) == 1\nassert f(2) == 2", reference)
    limit = next(
        n for n in (judge_problem(sandbox, problem, deep).detail,) if n.startswith("assert")
    )
    assert judge_batch(sandbox, problem, [deep])[0].detail == limit
    probe = mbpp("assert f(1) > 100\nassert f(1) == f(1)", deep)
    assert judge_batch(sandbox, probe, [deep, deep])[1].status == "passed"


def test_a_batch_needs_a_reference(sandbox: Sandbox) -> None:
    with pytest.raises(DataError, match="needs a reference"):
        judge_batch(sandbox, Suite("assert f(1) == 1", "f", "mbpp"), ["def f(x): return x"])


def test_an_entry_point_may_have_the_name_of_a_built_in() -> None:
    problem = Suite("assert sum(1, 2) == 3", "sum", "mbpp", "def sum(a, b): return a + b")
    assert TrustedTest(problem).problem.entry_point == "sum"
    with Sandbox("process") as box:
        assert judge_problem(box, problem, "def sum(a, b): return a - -b").status == "passed"


def read(name: str) -> list[dict[str, object]]:
    with gzip.open(DATA / name, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def mbpp_problems() -> Iterator[tuple[int, Suite]]:
    for row in read("mbpp/mbpp.jsonl.gz"):
        code = str(row["code"])
        tests = [*row["test_list"], *row["challenge_test_list"]]  # type: ignore[misc]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(code)
        defined = {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}
        called = [
            node.func.id
            for node in ast.walk(ast.parse(tests[0]))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        ]
        entry_point = next(name for name in called if name in defined)
        setup = str(row["test_setup_code"])
        yield int(row["task_id"]), Suite("\n".join(tests), entry_point, "mbpp", code, setup)  # type: ignore[call-overload]


@pytest.mark.realdata
@needs_data
def test_all_humaneval_references_are_graded_right(sandbox: Sandbox) -> None:
    rows = read("humaneval/HumanEval.jsonl.gz")
    wrong = {}
    for row in rows:
        source = f"{row['prompt']}{row['canonical_solution']}"
        problem = Suite(str(row["test"]), str(row["entry_point"]), "humaneval", source)
        verdict = judge_problem(sandbox, problem, source)
        empty = judge_problem(sandbox, problem, f"{row['prompt']}    return None\n")
        if verdict.status != "passed" or empty.status == "passed":
            wrong[row["task_id"]] = (verdict, empty)
    assert not wrong
    assert len(rows) == 164


@pytest.mark.realdata
@needs_data
def test_all_mbpp_references_are_graded_right(sandbox: Sandbox) -> None:
    wrong = {}
    graded = 0
    for task_id, problem in mbpp_problems():
        assert problem.reference is not None
        limit = 30.0 if task_id in SLOW_MBPP else None
        verdict = judge_problem(sandbox, problem, problem.reference, cpu_s=limit)
        graded += 1
        if verdict.status != "passed":
            wrong[task_id] = verdict
    assert not wrong
    assert graded == 974
