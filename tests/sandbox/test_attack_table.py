from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
import attacks

from tests.sandbox.attacks import PROGRAMS


def test_a_checker_that_is_not_there_has_no_figures():
    assert attacks.summary(["not installed"] * len(PROGRAMS)) == "not installed"


def test_passed_attacks_are_breaches_and_other_words_on_controls_wrong():
    num_controls = sum(attack.kind == "control" for attack in PROGRAMS)
    num_attacks = len(PROGRAMS) - num_controls
    assert attacks.summary(["passed"] * len(PROGRAMS)) == (
        f"{num_attacks} breaches of {num_attacks}, 0 of {num_controls} controls wrong"
    )
    assert attacks.summary(["hung"] * len(PROGRAMS)) == (
        f"0 breaches of {num_attacks}, {num_controls} of {num_controls} controls wrong"
    )
