from threading import Event

import pytest

from stepnav.core.errors import ConfigError, DataError
from stepnav.sandbox.records import Suite, Verdict
from stepnav.tasks.programs import program_checker
from stepnav.tasks.programs.program_checker import ProgramChecker

RIGHT = "def double(x):\n    return 2 * x\n"
WRONG = "def double(x):\n    return x\n"
TEST = Suite("assert double(2) == 4", "double", "mbpp", RIGHT)
BROKEN = Suite("assert double(2) == 5", "double", "mbpp", RIGHT)


@pytest.mark.parametrize("workers", [1, 2])
def test_verdicts_come_in_order_and_a_broken_test_stops_nothing(workers: int) -> None:
    jobs = [(RIGHT, TEST), (WRONG, TEST), (RIGHT, BROKEN), *[(RIGHT, TEST)] * 12, (WRONG, TEST)]
    with ProgramChecker(workers=workers) as checker:
        found = list(checker.check_many(jobs))
    assert isinstance(found[2], DataError)
    statuses = [verdict.status for verdict in found if not isinstance(verdict, DataError)]
    assert statuses == ["passed", "failed", *["passed"] * 12, "failed"]


def test_a_broken_test_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with ProgramChecker() as checker:
        for _ in range(2):
            with pytest.raises(DataError, match="the reference fails its own test"):
                checker.check(RIGHT, BROKEN)
            monkeypatch.delattr(program_checker, "prepare", raising=False)


def test_the_limit_is_kept() -> None:
    with ProgramChecker(cpu_s=0.2) as checker:
        verdict = checker.check("def double(x):\n    while True:\n        pass\n", TEST)
        assert verdict.status == "timeout"
        assert checker.passes(RIGHT, TEST) is True
        assert checker.passes(WRONG, TEST) is False
        assert checker.passes(WRONG, None) is None


def test_a_program_may_take_four_times_as_long_as_the_reference(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow = "import time\ndef double(x):\n    until = time.process_time() + {}\n"
    slow += "    while time.process_time() < until:\n        pass\n    return 2 * x\n"
    test = Suite("assert double(2) == 4", "double", "mbpp", slow.format(0.2))
    with ProgramChecker() as checker:
        monkeypatch.setattr(program_checker, "TIME_LIMIT_S", 0.05)
        assert checker.check(slow.format(0.4), test).status == "passed"
        assert checker.check(slow.format(4), test).status == "timeout"
    with ProgramChecker(cpu_s=0.25) as checker:
        assert checker.check(slow.format(1), test).status == "timeout"
        assert checker.check(slow.format(0), test).status == "passed"


def test_a_test_may_take_its_time_with_the_reference() -> None:
    test = Suite("import time\ntime.sleep(1.5)\nassert double(2) == 4", "double", "mbpp", RIGHT)
    with ProgramChecker(cpu_s=0.5) as checker:
        assert checker.check(RIGHT, test).status == "passed"


def test_an_endless_program_holds_no_other_one_up(monkeypatch: pytest.MonkeyPatch) -> None:
    checker, released, done = ProgramChecker(workers=2), Event(), []

    def attempt(program: str, test: Suite) -> Verdict:
        if program == "0":
            assert released.wait(60)
        done.append(program)
        if len(done) == 499:
            released.set()
        return Verdict("passed", program, "process")

    monkeypatch.setattr(checker, "_attempt", attempt)
    found = list(checker.check_many((str(n), TEST) for n in range(500)))
    assert [verdict.detail for verdict in found] == list(map(str, range(500)))  # type: ignore[union-attr]
    assert done[-1] == "0"


def test_left_early_it_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    checker, released = ProgramChecker(workers=2), Event()

    def attempt(program: str, test: Suite) -> Verdict:
        if program != "0":
            released.wait()
        return Verdict("passed", program, "process")

    monkeypatch.setattr(checker, "_attempt", attempt)
    verdicts = checker.check_many((str(n), TEST) for n in range(9))
    assert isinstance(next(verdicts), Verdict)
    verdicts.close()
    checker.close()
    released.set()


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"no sandbox level is called 'proces' \(did you mean"):
        ProgramChecker("proces")
