from __future__ import annotations

from typing import get_args

import pytest

from stepnav.mutate.labels import (
    DROPS,
    LABELS,
    Drop,
    MutantVerdict,
    Observation,
    decide,
    label_steps,
)
from stepnav.mutate.program.bytecode import fingerprint


@pytest.mark.parametrize(
    ("seen", "wanted"),
    [
        (Observation(same_bytecode=True), "equivalent"),
        (Observation(first="failed", again="failed"), "killed"),
        (Observation(first="error", again="memory"), "killed"),
        (Observation(first="failed", again="passed"), "flaky"),
        (Observation(first="failed", again="timeout"), "flaky"),
        (Observation(first="passed", again="failed", same_values=True), "flaky"),
        (Observation(first="timeout", confirmed=True), "timeout"),
        (Observation(first="timeout", confirmed=False), "unconfirmed_timeout"),
        (Observation(first="timeout"), "unconfirmed_timeout"),
        (Observation(first="passed", again="passed", same_values=True), "survived"),
        (
            Observation(first="passed", again="passed", same_values=False),
            "survives_given_tests_only",
        ),
        (Observation(first="passed", again="passed"), "no_fuzz_inputs"),
        (Observation(first="failed", again="failed", repair="confirmed"), "repairable"),
        (Observation(first="failed", again="failed", repair="unconfirmed"), "repair_unconfirmed"),
    ],
)
def test_verdict(seen: Observation, wanted: str) -> None:
    assert decide(seen) == wanted


@pytest.mark.parametrize(
    ("verdict", "labels"),
    [
        ("reference", (1, 1, 1, 1)),
        ("equivalent", (1, 1, 1, 1)),
        ("decoy", (1, 1, 1, 1)),
        ("killed", (1, 1, -1, None)),
        ("timeout", (1, 1, -1, None)),
        ("survived", (1, 1, 0, None)),
        ("repairable", (1, 1, 0, None)),
    ],
)
def test_labels(verdict: MutantVerdict, labels: tuple[int | None, ...]) -> None:
    assert label_steps(4, 2, verdict) == labels


def test_a_neutral_step_before_a_wrong_one() -> None:
    assert label_steps(4, 2, "killed", neutral_step=0) == (0, 1, -1, None)


def test_every_verdict_and_reason_is_described() -> None:
    assert set(LABELS) == set(get_args(MutantVerdict))
    assert set(DROPS) == set(get_args(Drop))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("def f(x):\n    return x + 1\n", "def f(x):\n\n    return (x + 1)  # one\n", True),
        ("x = 2 * 3", "x = 6", True),
        ("x = 1", "x = 1.0", False),
        ("x = 0.0", "x = -0.0", False),
        ("x = (1, 2)", "x = (1, True)", False),
        ("def f(x):\n    return x\n", "def f(y):\n    return y\n", False),
        ("def f(x=1):\n    return x\n", "def f(x=2):\n    return x\n", False),
        ("x = y in {1, 2}", "x = y in {2, 1}", True),
    ],
)
def test_same_bytecode(one: str, other: str, same: bool) -> None:
    assert (fingerprint(one) == fingerprint(other)) is same
