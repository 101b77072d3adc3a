from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stepnav.answers.canonical import canonical
from stepnav.answers.equal import AnswerChecker, compare_fast, compare_numbers
from stepnav.answers.pool import WorkerPool
from stepnav.core.errors import ConfigError

HUGE_POWER = "9^{9^{9^{9}}}"
SUM = r"\sum_{k=1}^{4} k"
"""Only math-verify reads sums."""


@pytest.fixture(scope="module")
def checker() -> Iterator[AnswerChecker]:
    with AnswerChecker(cpu_s=2.0) as checker:
        yield checker


@pytest.mark.parametrize(
    ("answer", "reference", "verdict"),
    [
        ("1,000.0", "1000", "equal"),
        ("0.75", r"\frac{3}{4}", "equal"),
        ("3", "4", "different"),
        ("0.333333", "1/3", "different"),
        ("1000001", "1000002", "different"),
        ("", "4", "different"),
        ("", "", "different"),
        ("(1, 2)", "(1,2)", "equal"),
        ("x+1", "1+x", "equal"),
        ("x+2", "x+1", "different"),
        (r"\frac{\sqrt{3}}{3}", r"\frac{1}{\sqrt{3}}", "equal"),
        ("surely not math", r"\pi", "different"),
        ("line one\nline two", r"\pi", "different"),
        (r"\frac{{{{", "x+1", "different"),
        ("[3, 4)", "[3,4]", "different"),
        (SUM, "10", None),
        (HUGE_POWER, r"\pi", None),
    ],
)
def test_fast_paths(answer: str, reference: str, verdict: str | None) -> None:
    assert compare_fast(answer, reference) == verdict


def test_long_answers_are_compared_in_linear_time() -> None:
    began = time.process_time()
    for answer in ("1" * 40_000, "Yes" + " " * 40_000 + ", no"):
        assert compare_fast(answer, "5") == "different"
        assert compare_fast(answer, answer.replace(" ", "\t")) == "equal"
        canonical(answer)
    assert time.process_time() - began < 1


def test_number_tasks_never_ask_math_verify() -> None:
    assert compare_numbers(None, "4") == "different"
    assert compare_numbers(r"\sqrt{16}", "4") == "different"
    assert compare_numbers("4.0", "4") == "equal"


def test_number_tasks_forgive_rounding_to_six_decimals() -> None:
    assert compare_numbers("0.333333", "1/3") == "equal"
    assert compare_numbers("0.33", "1/3") == "different"
    assert compare_numbers("1000001", "1000002") == "different"


@pytest.mark.parametrize(
    ("answer", "reference", "verdict"),
    [
        (SUM, "10", "equal"),
        (SUM, "11", "different"),
        (r"\int_0^1 2x\,dx", "1", "equal"),
        (SUM, "x = 10", "different"),
    ],
)
def test_math_verify_settles_the_rest(
    checker: AnswerChecker, answer: str, reference: str, verdict: str
) -> None:
    assert checker.compare(answer, reference) == verdict


def test_no_answer_differs_without_a_worker() -> None:
    with AnswerChecker() as checker:
        assert checker.compare(None, r"\pi") == "different"
        assert checker.pool.pids() == []


def test_an_expression_that_hangs_is_a_timeout_and_the_worker_is_replaced() -> None:
    with AnswerChecker(cpu_s=0.5) as checker:
        assert checker.compare(SUM, "10") == "equal"
        (before,) = checker.pool.pids()
        assert checker.compare(HUGE_POWER, r"\pi") == "timeout"
        assert checker.pool.pids() == []
        assert checker.compare(SUM, "10") == "equal"
        assert checker.pool.pids() != [before]


def test_the_limit_is_cpu_time_so_a_stopped_worker_still_answers_right() -> None:
    with AnswerChecker(cpu_s=1.0) as checker:
        checker.compare(SUM, "10")
        (pid,) = checker.pool.pids()
        os.kill(pid, signal.SIGSTOP)  # the busiest machine there can be
        threading.Timer(2.5, os.kill, (pid, signal.SIGCONT)).start()
        began = time.monotonic()
        assert checker.compare(SUM, "10") == "equal"
        assert time.monotonic() - began > 2


def test_a_worker_killed_while_idle_is_replaced(checker: AnswerChecker) -> None:
    checker.compare(SUM, "10")
    (pid,) = checker.pool.pids()
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert checker.compare(SUM, "10") == "equal"


def test_several_workers_keep_the_order() -> None:
    pairs = [(f"{SUM} + {i}", "11" if i % 3 == 1 else "12") for i in range(9)] + [(None, "1")]
    with AnswerChecker(2) as checker:
        verdicts = checker.compare_many(pairs)
        assert len(checker.pool.pids()) <= 2
    expected = ["equal" if i in (1, 2) else "different" for i in range(9)]
    assert verdicts == [*expected, "different"]


def test_closing_leaves_no_process() -> None:
    checker = AnswerChecker()
    checker.compare(SUM, "10")
    (pid,) = checker.pool.pids()
    checker.close()
    checker.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_worker_ends_with_its_parent() -> None:
    script = (
        "from stepnav.answers.equal import shared_checker as c\n"
        "import os, sys\n"
        "assert c().compare(r'\\sum_{k=1}^{4} k', '10') == 'equal'\n"
        "print(*c().pool.pids(), flush=True)\n"
        "assert 'math_verify' not in sys.modules and 'sympy' not in sys.modules\n"
        "os._exit(0)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    deadline = time.monotonic() + 20
    while _is_running(int(done.stdout)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _is_running(int(done.stdout))


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        status = Path(f"/proc/{pid}/stat")
        return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_math_verify_is_needed_only_on_the_slow_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with AnswerChecker() as checker:
        assert checker.compare("3", "4") == "different"
        with pytest.raises(ConfigError, match=r"pip install 'stepnav\[math\]'"):
            checker.compare(SUM, "10")


def test_a_pool_without_workers_is_refused() -> None:
    with pytest.raises(ValueError, match="num_workers"):
        WorkerPool(0)
