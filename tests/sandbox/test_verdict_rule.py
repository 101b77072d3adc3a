"""What a verdict may not depend on: the caller's interpreter, time, handlers in the test, large
values."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stepnav.core.errors import DataError
from stepnav.sandbox import Limits, Sandbox, Suite, judge_batch, judge_problem, prepare

judging = sys.modules["stepnav.sandbox.judge"]  # the package's `judge` is the function
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux")

JUDGE_ALL = """
from stepnav.sandbox import Suite, Sandbox, judge_batch, judge_problem
double = "def f(x): return x + x"
tests = {
    "mbpp": "assert f(1) == 2\\nassert f(3) == 6",
    "humaneval": "def check(candidate):\\n    assert candidate(1) == 2\\n    assert candidate(3) == 6",
}
sources = [double, "def f(x): return 2", "def f(x):\\n    assert x < 2\\n    return 2 * x",
           "import statistics\\ndef f(x): return statistics.mean([x, 3 * x])"]
with Sandbox("process") as sandbox:
    for style, test in tests.items():
        problem = Suite(test, "f", style, double)
        print([judge_problem(sandbox, problem, source).status for source in sources])
        print([verdict.status for verdict in judge_batch(sandbox, problem, sources)])
"""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox("process", limits=Limits(cpu_s=2.0, wall_s=30.0, memory_bytes=256 * 2**20)) as box:
        yield box


@pytest.mark.parametrize(
    ("options", "environment"),
    [
        ([], {}),
        (["-O"], {}),
        (["-OO"], {}),
        ([], {"PYTHONOPTIMIZE": "2"}),
        ([], {"PYTHONPATH": "@FOLDER@"}),
        ([], {"PYTHONPATH": "@FOLDER@", "PYTHONOPTIMIZE": "1", "PYTHONSAFEPATH": "1"}),
        ([], {"PYTHONINTMAXSTRDIGITS": "0", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONDEVMODE": "1"}),
    ],
)
def test_no_option_or_variable_of_the_caller_changes_a_verdict(
    tmp_path: Path, options: list[str], environment: dict[str, str]
) -> None:
    (tmp_path / "statistics.py").write_text("def mean(items): return 0\n")
    (tmp_path / "usercustomize.py").write_text("import sys\nsys.dont_write_bytecode = True\n")
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    given = {k: v.replace("@FOLDER@", str(tmp_path)) for k, v in environment.items()}
    done = subprocess.run(
        [sys.executable, *options, "-c", JUDGE_ALL], capture_output=True, text=True, cwd=tmp_path,
        env={**clean, **given},
    )  # fmt: skip
    assert done.stdout.splitlines() == ["['passed', 'failed', 'error', 'passed']"] * 4, done.stderr


SWALLOWING = {
    "bare": "try:\n    x = f(1)\nexcept:\n    x = 2\nassert x == 2\nassert f(3) == 6",
    "base": "try:\n    x = f(1)\nexcept BaseException as e:\n    x = 2\nassert x == 2",
    "tuple": "try:\n    x = f(1)\nexcept (KeyError, BaseException):\n    x = 2\nassert x == 2",
    "suppressed": "import contextlib\nx = 2\nwith contextlib.suppress(BaseException):\n    x = f(1)\n"
    "assert x == 2",
    "returned": "def g():\n    try:\n        return f(1)\n    finally:\n        return 2\nassert g() == 2\n"
    "assert f(1) == 2",
    "again": "for _ in range(3):\n    try:\n        x = f(1)\n        break\n    except:\n        x = 2\n"
    "assert x == 2",
    "for ever": "while True:\n    try:\n        x = f(1)\n        break\n    except:\n        pass\n"
    "assert x == 2",
    "decorated": "def safe(g):\n    def run(*a):\n        try:\n            return g(*a)\n        except:\n"
    "            return 2\n    return run\nassert safe(f)(1) == 2",
}


@pytest.mark.parametrize("style", ["mbpp", "humaneval"])
@pytest.mark.parametrize("test", SWALLOWING.values(), ids=SWALLOWING)
def test_a_test_that_catches_all_judges_the_slow_as_the_quick(
    sandbox: Sandbox, test: str, style: str
) -> None:
    """A program that is looked at while it still runs, one that never ends, and one that is
    killed."""
    if style == "humaneval":
        lines = "".join(f"    {line}\n" for line in test.splitlines())
        test = f"def check(f):\n{lines}"
    problem = Suite(test, "f", style, "def f(x): return x + x")  # type: ignore[arg-type]
    slow = "def f(x):\n    import time\n    time.sleep(0.1)\n    return {}"
    for value in ("x + x", "0", "None"):
        quick = judge_problem(sandbox, problem, f"def f(x): return {value}")
        late = judge_problem(sandbox, problem, slow.format(value))
        assert (late.status, late.detail) == (quick.status, quick.detail)
    for source, status in (
        ("def f(x):\n    while True: pass", "timeout"),
        ("import os\ndef f(x): os._exit(0)", "crash"),
    ):
        assert judge_problem(sandbox, problem, source, cpu_s=0.2).status == status


def test_what_ends_a_reference_is_not_swallowed_either(sandbox: Sandbox) -> None:
    test = "try:\n    f(lambda: 1)\nexcept:\n    pass\nassert f(1) == 1"
    with pytest.raises(DataError, match="'function'"):
        judge_problem(sandbox, Suite(test, "f", "mbpp", "def f(x): return x"), "def f(x): return x")


def test_the_exceptions_of_a_candidate_are_caught_as_ever(sandbox: Sandbox) -> None:
    test = "try:\n    f(1)\n    x = 1\nexcept:\n    x = 2\nassert x == 2"
    problem = Suite(test, "f", "mbpp", "def f(x): raise ValueError")
    assert judge_problem(sandbox, problem, "def f(x): raise KeyError").status == "passed"
    assert judge_problem(sandbox, problem, "def f(x): return 1").status == "failed"


@pytest.mark.parametrize("kind", ["StopIteration", "StopAsyncIteration"])
@pytest.mark.parametrize(
    "test",
    [
        "assert all(map(lambda case: f(case[0]) == case[1], [(1, 1), (2, 2)]))",
        "assert [*map(f, [1, 2])] == [] or [*map(f, [1, 2])] == [1, 2]",
        "assert next(map(f, [1]), 1) == 1",
        "assert list(iter(lambda: f(1), 1)) == []",
    ],
)
def test_no_exception_of_a_candidate_ends_the_cases(sandbox: Sandbox, test: str, kind: str) -> None:
    problem = Suite(test, "f", "mbpp", "def f(x): return x")
    verdict = judge_problem(sandbox, problem, f"def f(x): raise {kind}")
    assert verdict.status == "error"
    assert verdict.detail == f"RuntimeError: the candidate raised {kind}"


def test_no_test_sees_what_an_earlier_run_left_in_the_reference(sandbox: Sandbox) -> None:
    reference = (
        "seen = []\ndef count():\n    seen.append(1)\n    return len(seen)\ndef f(x): return 1\n"
    )
    test = "def check(candidate):\n    assert candidate(0) == count()\n"
    problem = Suite(test, "f", "humaneval", reference)
    for value in ("1", "+1", "int(1)"):
        assert judge_problem(sandbox, problem, f"def f(x): return {value}").status == "passed"


@pytest.mark.parametrize("ending", ["raise SystemExit(0)", "exit()", "quit(1)"])
def test_a_test_that_ends_the_interpreter_ends_nothing(sandbox: Sandbox, ending: str) -> None:
    test = f"assert f(1) == 2\n{ending}"
    with pytest.raises(DataError, match="fails its own test"):
        judge_problem(sandbox, Suite(test, "f", "mbpp", "def f(x): return 2"), "")


@pytest.mark.parametrize(
    "test",
    [
        "assert f(1) == 1, f(1)",
        "x = f(1)\nif x != 1:\n    raise KeyError(x)\nassert x == 1",
        "x = f(1)\nif x != 1:\n    raise ValueError(x, x)\nassert x == 1",
        "assert str(f(1)) == '1'",
    ],
)
def test_an_integer_too_long_to_be_written_is_a_verdict(sandbox: Sandbox, test: str) -> None:
    problem = Suite(test, "f", "mbpp", "def f(x): return 1")
    source = "def f(x): return 10 ** 5000"
    assert judge_problem(sandbox, problem, source).status == "failed"
    assert judge_batch(sandbox, problem, [source])[0].status == "failed"


LARGE = (
    "range(10**9)", "range(-(10**30), 10**30)", "[range(2**19), range(2**19), range(2**19)]",
    "[__import__('collections').deque() for _ in range(10**5)]", "[set() for _ in range(10**5)]",
    "[{} for _ in range(10**5)]", "[iter([]) for _ in range(10**5)]", "[[] for _ in range(500000)]",
)  # fmt: skip


@pytest.mark.parametrize("value", LARGE)
def test_a_small_answer_cannot_fill_the_caller(sandbox: Sandbox, value: str) -> None:
    problem = Suite("assert list(f(1)) == [1]", "f", "mbpp", "def f(x): return [1]")
    prepare(sandbox, problem)
    tracemalloc.start()
    try:
        verdict = judge_problem(sandbox, problem, f"def f(x): return {value}")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert verdict.status == "failed"
    assert peak < 32 * 2**20


def test_ranges_and_tables_of_honest_size_pass(sandbox: Sandbox) -> None:
    test = "assert len(list(f(1))) == 10**6\nassert f(2) == [{i: i} for i in range(10**4)]"
    source = "def f(x): return range(10**6) if x == 1 else [{i: i} for i in range(10**4)]"
    problem = Suite(test, "f", "mbpp", source)
    assert judge_problem(sandbox, problem, source).status == "passed"


def test_the_answers_of_many_candidates_are_not_kept(sandbox: Sandbox) -> None:
    problem = Suite("assert f(1) == 'a'", "f", "mbpp", "def f(x): return 'a'")
    judge_problem(sandbox, problem, "def f(x): return 'a'")
    gc.collect()
    tracemalloc.start()
    try:
        for number in range(40):
            judge_problem(sandbox, problem, f"def f(x): return '{number:08}' * 10**5")
        gc.collect()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 2**20  # 32 MB were answered


def test_empty_frames_are_thrown_away(sandbox: Sandbox) -> None:
    source = (
        "import os\ndef f(x):\n    for fd in range(3, 64):\n        try:\n            for _ in "
        "range(9):"
    )
    source += " os.write(fd, bytes(10**5))\n        except OSError: pass\n    return 1"
    problem = Suite("assert f(1) == 1\nassert f(2) == 1", "f", "mbpp", "def f(x): return 1")
    prepare(sandbox, problem)
    tracemalloc.start()
    try:
        assert judge_problem(sandbox, problem, source).status != "passed"
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6 * 2**20


def test_problems_are_kept_up_to_a_number(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "MAX_PREPARED", 3)
    for number in range(8):
        prepare(
            sandbox, Suite(f"assert f(1) == {number}", "f", "mbpp", f"def f(x): return {number}")
        )
        assert len(sandbox.prepared) <= 3


def test_waiting_for_a_silent_program_costs_the_caller_nothing(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is judged early once, by the answers so far, and again only when there are more."""
    looks: list[float] = []
    early = judging.early_verdict

    def look(*args: Any) -> Any:
        looks.append(time.perf_counter())
        return early(*args)

    monkeypatch.setattr(judging, "early_verdict", look)
    test = "assert f(1) == 1\nassert f(2) == 2\nassert f(3) == 3"
    problem = Suite(test, "f", "mbpp", "def f(x): return x")
    source = "import time\ndef f(x):\n    if x == 3: time.sleep(0.7)\n    return x"
    assert judge_problem(sandbox, problem, source).status == "passed"
    assert len(looks) <= 2
