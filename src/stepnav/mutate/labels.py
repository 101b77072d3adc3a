"""From what was observed of a mutant to its verdict, and from the verdict to the steps' labels.

Verdicts and labels as in Ma et al. 2023 (arXiv 2310.10080), section 3.3, made stricter: there every
mutant that fails its tests is negative and every other one neutral. Here a mutant counts as neutral
only where the tests and at least `MIN_FUZZ_INPUTS` further inputs cannot tell it from the
reference, and as negative only where it fails repeatably and no later single edit repairs it.
Unknown is a mask, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from stepnav.sandbox.records import Status

MIN_FUZZ_INPUTS = 200

MutantVerdict = Literal[
    "reference", "decoy", "equivalent", "survived", "repairable", "killed", "timeout"
]
"""What a record says of its program; only these become data."""

Drop = Literal[
    "survives_given_tests_only",
    "no_fuzz_inputs",
    "unconfirmed_timeout",
    "flaky",
    "repair_unconfirmed",
    "decoy_not_confirmed",
    "second_order_not_killed",
]
"""Why a program is left out."""

LABELS: Mapping[MutantVerdict, tuple[int, int | None]] = {
    "reference": (1, 1),
    "decoy": (1, 1),
    "equivalent": (1, 1),
    "survived": (0, None),
    "repairable": (0, None),
    "killed": (-1, None),
    "timeout": (-1, None),
}
"""Verdict -> label of the changed step, label of the steps after it; those before it have 1."""

DROPS: Mapping[Drop, str] = {
    "survives_given_tests_only": "passes the tests, but some further input tells it apart",
    "no_fuzz_inputs": f"passes the tests, and there are fewer than {MIN_FUZZ_INPUTS} further "
    "inputs",
    "unconfirmed_timeout": "runs out of time, but not at ten times the limit",
    "flaky": "does not fail the same way twice",
    "repair_unconfirmed": "a later edit makes it pass the tests, and no further inputs tell more",
    "decoy_not_confirmed": "a rewrite that the tests or further inputs tell apart",
    "second_order_not_killed": "two edits of which the second fails alone but not after the first",
}
"""Why a program is left out, in words."""

Repair = Literal["confirmed", "unconfirmed"]


@dataclass(frozen=True, slots=True)
class Observation:
    """What was seen of one mutant; None where it was not looked at.

    Attributes:
      same_bytecode: whether it compiles to the reference's bytecode.
      first: how it did on the tests.
      again: how it did the second time, in another order.
      confirmed: where the first ended in a timeout: whether ten times the limit did too.
      same_values: whether all further inputs gave the reference's values; None without enough.
      repair: whether a later single edit makes it right.
    """

    same_bytecode: bool = False
    first: Status | None = None
    again: Status | None = None
    confirmed: bool | None = None
    same_values: bool | None = None
    repair: Repair | None = None


def decide(seen: Observation) -> MutantVerdict | Drop:
    """Return the verdict, or why there is none."""
    if seen.same_bytecode:
        return "equivalent"
    if seen.first == "passed":
        if seen.again not in (None, "passed"):
            return "flaky"
        if seen.same_values is None:
            return "no_fuzz_inputs"
        return "survived" if seen.same_values else "survives_given_tests_only"
    if seen.first == "timeout":
        return "timeout" if seen.confirmed else "unconfirmed_timeout"
    if seen.again in ("passed", "timeout", None):
        return "flaky"
    if seen.repair is not None:
        return "repairable" if seen.repair == "confirmed" else "repair_unconfirmed"
    return "killed"


def label_steps(
    num_steps: int, step: int, verdict: MutantVerdict, *, neutral_step: int | None = None
) -> tuple[int | None, ...]:
    """Return the labels of a program's steps.

    Args:
      num_steps: how many steps it has.
      step: index of the changed one.
      verdict: what the program was found to be.
      neutral_step: an earlier changed step that is neutral itself, if there is one.
    Example:
      >>> label_steps(4, 2, "killed")
      (1, 1, -1, None)
    """
    changed, later = LABELS[verdict]
    labels = [1 if n < step else changed if n == step else later for n in range(num_steps)]
    if neutral_step is not None:
        labels[neutral_step] = 0
    return tuple(labels)
