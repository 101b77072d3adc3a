"""Where programs are run: the tests of one reference, and its further inputs, in the sandbox.

CPU limits follow the reference's own CPU time, rounded up to a power of two above a floor, so that
the noise of one measurement does not change them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from stepnav.core.errors import DataError
from stepnav.mutate.reference import Reference
from stepnav.sandbox.batch import judge_batch
from stepnav.sandbox.judge import judge_problem, prepare
from stepnav.sandbox.pool import Sandbox
from stepnav.sandbox.records import Call, Job, JobResult, Suite, Verdict
from stepnav.tasks.inputs.calls import KnownCall
from stepnav.tasks.inputs.values import outcome_of, written

CPU_FLOOR_S = 0.02
"""Least CPU limit of one program on the tests."""

START_CPU_S = 0.005
"""What of the reference's CPU time goes to its process and not to the tests, at most."""

CPU_FACTOR = 5
"""A program may take so many times the reference's CPU time."""

CONFIRM_FACTOR = 10
"""A timeout counts if the program also runs out of so many times its limit."""

REFERENCE_CPU_S = 20.0
"""CPU limit of a reference on its tests."""

FUZZ_CPU_S = 0.3
"""CPU limit of a reference on further inputs; what it cannot do in that time is left out."""


@dataclass(frozen=True, slots=True)
class Domain:
    """Inputs that the reference is made for.

    Attributes:
      inputs: the inputs.
      values: what the reference gives for each.
      cpu_s: its CPU seconds for all of them.
    """

    inputs: tuple[KnownCall, ...] = ()
    values: tuple[Any, ...] = ()
    cpu_s: float = 0.0


class Laboratory(Protocol):
    """What a campaign needs of the sandbox.

    Attributes:
      level: the sandbox level.
    """

    level: str

    def try_reference(self) -> float | None:
        """Return the CPU seconds that the reference takes for its own tests.

        Raises:
          DataError: it fails them, or they cannot be run.
        """

    def test(self, sources: Sequence[str], cpu_s: float) -> list[Verdict]:
        """Return each program's verdict on the tests."""

    def values(self, source: str, inputs: Sequence[KnownCall], cpu_s: float) -> list[Any]:
        """Return what each input gives, None where it gives no value."""

    def domain(self, inputs: Sequence[KnownCall], count: int) -> Domain:
        """Return up to `count` inputs in the reference's domain, with what they give."""


class SandboxLaboratory:
    """A laboratory in a sandbox.

    Args:
      sandbox: where everything is run.
      reference: the trusted program and its tests.
    """

    def __init__(self, sandbox: Sandbox, reference: Reference) -> None:
        self.level: str = sandbox.level
        self._sandbox = sandbox
        self._reference = reference
        self._problem = Suite(
            test=reference.test,
            entry_point=reference.entry_point,
            style=reference.style,
            reference=reference.source,
            setup=reference.setup,
        )

    def try_reference(self) -> float | None:
        """Return the CPU seconds that the reference takes for its own tests; see `Laboratory`."""
        return prepare(self._sandbox, self._problem, cpu_s=REFERENCE_CPU_S).cpu_s

    def test(self, sources: Sequence[str], cpu_s: float) -> list[Verdict]:
        """Return each program's verdict on the tests, each within `cpu_s`."""
        try:
            return judge_batch(self._sandbox, self._problem, sources, cpu_s=cpu_s)
        except DataError:  # one of them answers what the test cannot work with
            return [self._judge_alone(source, cpu_s) for source in sources]

    def _judge_alone(self, source: str, cpu_s: float) -> Verdict:
        try:
            return judge_problem(self._sandbox, self._problem, source, cpu_s=cpu_s)
        except DataError as error:
            return Verdict("error", str(error), self._sandbox.level)

    def values(self, source: str, inputs: Sequence[KnownCall], cpu_s: float) -> list[Any]:
        """Return what each input gives, in one process; None where it gives no value."""
        return [outcome_of(result) for result in self._run(source, inputs, cpu_s).calls]

    def domain(self, inputs: Sequence[KnownCall], count: int) -> Domain:
        """Return up to `count` inputs in the reference's domain, with what they give.

        An input is in it if the reference gives a value, in time, and the same value again when the
        inputs outside it are left out and the others come in another order. Small inputs come
        first, so that time runs out on large ones.
        """
        source = self._reference.source
        ordered = sorted(inputs, key=lambda item: len(written((item.args, item.kwargs))))
        results = self._run(source, ordered, FUZZ_CPU_S).calls
        inside = [item for item, one in zip(ordered, results) if outcome_of(one) is not None][
            :count
        ]
        first = self._run(source, inside, FUZZ_CPU_S)
        second = self._run(source, inside[::-1], FUZZ_CPU_S)
        pairs = zip(map(outcome_of, first.calls), map(outcome_of, second.calls[::-1]))
        values = [one if one == other else None for one, other in pairs]
        kept = [n for n, value in enumerate(values) if value is not None]
        cpu_s = first.cpu_s or 0.0
        return Domain(tuple(inside[n] for n in kept), tuple(values[n] for n in kept), cpu_s)

    def _run(self, source: str, inputs: Sequence[KnownCall], cpu_s: float) -> JobResult:
        name = self._reference.entry_point
        calls = tuple(Call(name, item.args, item.kwargs) for item in inputs)
        return self._sandbox.run(Job(source, calls, cpu_s=cpu_s))


def cpu_limit_s(reference_cpu_s: float | None) -> float:
    """Return the CPU limit of a mutant whose reference takes so many CPU seconds.

    Example:
      >>> cpu_limit_s(0.003), cpu_limit_s(0.012), cpu_limit_s(0.03)
      (0.02, 0.04, 0.16)
    """
    wanted = CPU_FACTOR * ((reference_cpu_s or 0.0) - START_CPU_S)
    return CPU_FLOOR_S * 2.0 ** math.ceil(math.log2(max(1.0, wanted / CPU_FLOOR_S)))
