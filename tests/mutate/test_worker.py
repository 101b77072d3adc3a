from __future__ import annotations

import time

import pytest

from stepnav.core.errors import SandboxError
from stepnav.mutate import worker
from stepnav.mutate.examination import Settings
from stepnav.mutate.processes import _send, _start
from stepnav.mutate.reference import Reference
from stepnav.sandbox.pool import Sandbox

REFERENCE = Reference("r", "", "def f(x):\n    return x\n", "assert f(1) == 1", "f", "mbpp")


def request(reference: Reference = REFERENCE) -> dict[str, object]:
    fields = {name: getattr(reference, name) for name in reference.__dataclass_fields__}
    return {"number": 3, "reference": fields}


class Outcome(BaseException):
    """As pytest's are."""


@pytest.mark.parametrize("kind", [ValueError, Outcome, SystemExit])
def test_a_program_that_cannot_be_examined_is_named_and_the_next_one_is_done(
    kind: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise kind("Exceeds\nthe limit")

    monkeypatch.setattr(worker, "examine", fail)
    sandbox = Sandbox("unsafe")
    answer = worker._examine(sandbox, Settings(), request())
    assert (answer["number"], answer["task_id"]) == (3, "r")
    assert answer["error"] == f"it could not be examined ({kind.__name__}: Exceeds the limit)"

    def refuse(*_: object, **__: object) -> None:
        raise SandboxError("no layer")

    monkeypatch.setattr(worker, "examine", refuse)
    with pytest.raises(SandboxError):
        worker._examine(sandbox, Settings(), request())


def test_it_ends_in_the_middle_of_a_problem_when_its_campaign_is_gone() -> None:
    endless = Reference(
        "r", "", "def f(x):\n    return x\n", "assert f(1)\nwhile f(1): pass", "f", "mbpp"
    )
    process = _start(Settings(), "unsafe")
    try:
        _send(process, request(endless))
        time.sleep(1)
        assert process.poll() is None
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(10) == 1
    finally:
        process.kill()
        process.wait()
        process.stdout.close()  # type: ignore[union-attr]
