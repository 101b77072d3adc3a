"""A laboratory without a sandbox, for programs that the tests themselves wrote."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from stepnav.core.errors import DataError
from stepnav.mutate.laboratory import Domain
from stepnav.mutate.reference import Reference
from stepnav.sandbox.records import Verdict
from stepnav.tasks.inputs.calls import KnownCall
from stepnav.tasks.inputs.values import canonical

Runner = Callable[[str, float], str]


class FakeLaboratory:
    """Runs programs in this process; `statuses` overrides what the tests say of a text.

    Args:
      reference: the trusted program.
      statuses: text -> the statuses that it gets, one per run, the last one ever after.
    """

    level = "fake"

    def __init__(self, reference: Reference, statuses: dict[str, list[str]] | None = None) -> None:
        self.reference = reference
        self.statuses = statuses or {}
        self.limits: list[float] = []
        self.orders: list[tuple[str, ...]] = []

    def try_reference(self) -> float | None:
        status = self._status(self.reference.source)
        if status != "passed":
            raise DataError(f"the reference fails its own test ({status})")
        return 0.001

    def test(self, sources: Sequence[str], cpu_s: float) -> list[Verdict]:
        self.limits.append(cpu_s)
        self.orders.append(tuple(sources))
        return [Verdict(self._status(source), "", "unsafe") for source in sources]  # type: ignore[arg-type]

    def values(self, source: str, inputs: Sequence[KnownCall], cpu_s: float) -> list[Any]:
        return [self._value(source, item) for item in inputs]

    def domain(self, inputs: Sequence[KnownCall], count: int) -> Domain:
        pairs = [(item, self._value(self.reference.source, item)) for item in inputs]
        inside = [pair for pair in pairs if pair[1] is not None][:count]
        return Domain(tuple(item for item, _ in inside), tuple(value for _, value in inside), 0.01)

    def _status(self, source: str) -> str:
        planned = self.statuses.get(source)
        if planned:
            return planned.pop(0) if len(planned) > 1 else planned[0]
        names: dict[str, Any] = {}
        try:
            exec(source, names)
            exec(self.reference.test, names)
        except AssertionError:
            return "failed"
        except Exception:
            return "error"
        return "passed"

    def _value(self, source: str, item: KnownCall) -> Any:
        names: dict[str, Any] = {}
        try:
            exec(source, names)
            return canonical(names[self.reference.entry_point](*item.args, **item.kwargs))
        except Exception:
            return None
