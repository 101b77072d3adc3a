from __future__ import annotations

import pytest

from stepnav.mutate.examination import Settings, examine
from stepnav.mutate.findings import Finding, ProblemReport
from stepnav.mutate.laboratory import SandboxLaboratory, cpu_limit_s
from stepnav.mutate.records import make_records
from stepnav.mutate.reference import Reference
from stepnav.sandbox.pool import Sandbox
from tests.mutate.laboratories import FakeLaboratory

SOURCE = "def f(x):\n    y = x + 0\n    z = y * 2\n    return z\n"
REFERENCE = Reference("t", "", SOURCE, "assert f(3) == 6\nassert f(10) == 20\nassert f(-4) == -8",
                      "f", "mbpp")  # fmt: skip


def found(report: ProblemReport, text: str) -> Finding | None:
    """Return the finding of a program."""
    for finding, record in zip(report.findings, make_records(report, seed=0, held_out=frozenset())):
        if record.prompt + "".join(record.completions) == text:
            return finding
    return None


def examined(settings: Settings, **statuses: list[str]) -> tuple[ProblemReport, FakeLaboratory]:
    changed = {SOURCE.replace(*key.split("__to__")): value for key, value in statuses.items()}
    laboratory = FakeLaboratory(REFERENCE, changed)
    return examine(REFERENCE, laboratory, settings), laboratory


def test_verdicts_of_single_mutants() -> None:
    report, _ = examined(Settings(repairs=0))
    killed = found(report, SOURCE.replace("y * 2", "y + 2"))
    assert killed is not None
    assert (killed.verdict, killed.step) == ("killed", 1)
    same = found(report, SOURCE.replace("x + 0", "x - 0"))
    assert same is not None
    assert same.verdict == "survived"
    reference = found(report, SOURCE)
    assert reference is not None
    assert reference.verdict == "reference"


def test_a_mutant_that_a_later_edit_repairs_is_neutral() -> None:
    report, _ = examined(Settings(repairs=50))
    # 'z = x * 2' repairs a wrong y, and nothing a wrong 'return'
    assert found(report, SOURCE.replace("x + 0", "x * 0")).verdict == "repairable"  # type: ignore[union-attr]
    assert found(report, SOURCE.replace("return z", "return x")).verdict == "killed"  # type: ignore[union-attr]
    source = "def f(x):\n    y = x + 1\n    return y - 1\n"
    reference = Reference("t", "", source, "assert f(3) == 3\nassert f(9) == 9", "f", "mbpp")
    report = examine(reference, FakeLaboratory(reference), Settings(repairs=50))
    repaired = found(report, source.replace("x + 1", "x + 2"))
    assert repaired is not None
    assert repaired.verdict == "repairable"
    report = examine(reference, FakeLaboratory(reference), Settings(repairs=0))
    assert found(report, source.replace("x + 1", "x + 2")).verdict == "killed"  # type: ignore[union-attr]


def test_a_mutant_that_only_the_given_tests_let_pass_is_dropped() -> None:
    source = "def f(x):\n    if x > 99:\n        return 0\n    return x\n"
    reference = Reference("t", "", source, "assert f(3) == 3\nassert f(98) == 98", "f", "mbpp")
    report = examine(reference, FakeLaboratory(reference), Settings(repairs=0))
    assert found(report, source.replace("return 0", "return 1")) is None
    assert report.dropped is not None
    assert report.dropped["off_by_one/survives_given_tests_only"] >= 1


def test_without_further_inputs_a_survivor_is_dropped() -> None:
    reference = Reference("t", "", SOURCE, "n = 3\nassert f(n) == 6", "f", "mbpp")
    report = examine(reference, FakeLaboratory(reference), Settings(repairs=0))
    assert found(report, SOURCE.replace("x + 0", "x - 0")) is None
    assert report.dropped is not None
    assert any(key.endswith("no_fuzz_inputs") for key in report.dropped)


def test_a_timeout_counts_only_at_ten_times_the_limit() -> None:
    slow = SOURCE.replace("y * 2", "y + 2")
    report, laboratory = examined(
        Settings(repairs=0), **{"y * 2__to__y + 2": ["timeout", "failed"]}
    )
    assert found(report, slow) is None
    assert report.dropped == {"arithmetic/unconfirmed_timeout": 1, **(report.dropped or {})}
    assert max(laboratory.limits) == pytest.approx(10 * min(laboratory.limits))
    report, _ = examined(Settings(repairs=0), **{"y * 2__to__y + 2": ["timeout"]})
    assert found(report, slow).verdict == "timeout"  # type: ignore[union-attr]


def test_a_mutant_that_fails_once_is_flaky() -> None:
    report, laboratory = examined(Settings(repairs=0), **{"y * 2__to__y + 2": ["failed", "passed"]})
    assert found(report, SOURCE.replace("y * 2", "y + 2")) is None
    assert report.dropped is not None
    assert report.dropped["arithmetic/flaky"] == 1
    first, second = laboratory.orders[:2]
    assert sorted(first) == sorted(second)
    assert first != second


def test_second_order_mutants_and_decoys() -> None:
    report, _ = examined(Settings(decoys=5, second_order=5, repairs=0))
    decoys = [finding for finding in report.findings if finding.verdict == "decoy"]
    pairs = [finding for finding in report.findings if finding.operator == "second_order"]
    assert len(decoys) == 5
    assert len(pairs) == 5
    for pair in pairs:
        assert pair.edits[0].start < pair.edits[-1].start
        assert pair.verdict == "killed"


def test_a_reference_that_fails_its_tests_is_not_used() -> None:
    reference = Reference("t", "", SOURCE, "assert f(3) == 7", "f", "mbpp")
    report = examine(reference, FakeLaboratory(reference), Settings())
    assert report.error is not None
    assert "fails its own test" in report.error
    assert report.findings == ()


def test_same_seed_same_findings() -> None:
    settings = Settings(seed=3, decoys=3, second_order=3, repairs=3)
    assert examined(settings)[0] == examined(settings)[0]


@pytest.mark.parametrize(("cpu_s", "limit"), [(None, 0.02), (0.009, 0.02), (0.01, 0.04), (1, 5.12)])
def test_limits_follow_the_reference(cpu_s: float | None, limit: float) -> None:
    assert cpu_limit_s(cpu_s) == pytest.approx(limit)


def test_in_the_sandbox() -> None:
    source = (
        "def f(xs):\n    best = 0\n    i = 0\n    while i < len(xs):\n        if xs[i] > best:\n"
        "            best = xs[i]\n        i += 1\n    return best\n"
    )
    tests = "assert f([1, 5, 2]) == 5\nassert f([]) == 0\nassert f([7, 7, 3, 9, 0]) == 9"
    reference = Reference("t", "", source, tests, "f", "mbpp")
    with Sandbox("process") as sandbox:
        report = examine(reference, SandboxLaboratory(sandbox, reference), Settings(repairs=2))
    assert report.error is None
    assert report.level == "process"
    verdicts = {
        text: found(report, source.replace(*change)).verdict  # type: ignore[union-attr]
        for text, change in {
            "endless": ("i += 1", "pass"),
            "wrong": ("> best", "<= best"),
            "same": ("> best", ">= best"),
        }.items()
    }
    assert verdicts == {"endless": "timeout", "wrong": "killed", "same": "survived"}
