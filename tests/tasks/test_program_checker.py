import pytest

from stepnav.core.errors import ConfigError, DataError
from stepnav.sandbox.records import Problem as Suite
from stepnav.tasks.program_checker import ProgramChecker

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


def test_the_limit_is_kept() -> None:
    with ProgramChecker(cpu_s=0.2) as checker:
        verdict = checker.check("def double(x):\n    while True:\n        pass\n", TEST)
        assert verdict.status == "timeout"
        assert checker.passes(RIGHT, TEST) is True
        assert checker.passes(WRONG, TEST) is False
        assert checker.passes(WRONG, None) is None


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"no sandbox level is called 'proces' \(did you mean"):
        ProgramChecker("proces")
