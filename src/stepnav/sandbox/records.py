"""The records of the sandbox: limits, what to run, what came of it.

All are frozen. A `CallResult` says what the box reported; nothing in it is a verdict, because the
program that runs in the box could have written it. Verdicts are made outside, by `judge`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Level = Literal["process", "namespace", "docker", "unsafe"]
"""How strongly the box is closed; `docs/sandbox.md` has the table of layers."""

CallStatus = Literal[
    "value", "object", "error", "encoding", "timeout", "memory", "crash", "output", "missing"
]
"""What came of one call:

- "value": a value of built-in types;
- "object": it returned something else, which stays in the box and can be passed to later calls;
- "error": it raised;
- "encoding": its value is too deep or too large to be sent;
- "timeout": its CPU or wall time ran out; "memory": `MemoryError`; "crash": the process died;
- "output": it sent more bytes than allowed;
- "missing": the program ended before this call, for instance because it did not load.
"""

Status = Literal["passed", "failed", "error", "timeout", "memory", "crash", "output"]
"""A verdict: "failed" is a wrong value, "error" an exception of the candidate."""

MEBIBYTE = 2**20


@dataclass(frozen=True, slots=True)
class Limits:
    """What one candidate may use.

    Attributes:
      cpu_s: CPU seconds of its process, all calls together.
      wall_s: wall-clock seconds, a backstop for programs that sleep; one that keeps computing on a
        busy machine may take ten times as long, and ends at `cpu_s`.
      memory_bytes: address space that it may add to the warm parent's own.
      output_bytes: bytes of answers that it may send.
      max_depth: deepest nesting of a value.
      open_files: file descriptors.
      scratch_bytes: size of the writable /tmp at level "namespace"; other levels can write nothing.
    """

    cpu_s: float = 5.0
    wall_s: float = 30.0
    memory_bytes: int = 512 * MEBIBYTE
    output_bytes: int = MEBIBYTE
    max_depth: int = 50
    open_files: int = 64
    scratch_bytes: int = 16 * MEBIBYTE

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if not value > 0:
                raise ValueError(f"{name} must be positive (got {value})")
        if self.max_depth > 200:
            raise ValueError(f"max_depth must be at most 200 (got {self.max_depth})")


@dataclass(frozen=True, slots=True)
class Ref:
    """The object that an earlier call of the same job left in the box.

    Attributes:
      index: position of that call in the job, from 0.
    """

    index: int


@dataclass(frozen=True, slots=True)
class Call:
    """One call of something that the program defines.

    Attributes:
      name: a global name of the program, or the object of an earlier call.
      args: positional arguments: exact built-in types, or `Ref`.
      kwargs: keyword arguments.
    """

    name: str | Ref
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GetAttribute:
    """Reading an attribute of an object in the box."""

    target: Ref
    name: str


@dataclass(frozen=True, slots=True)
class SetAttribute:
    """Setting an attribute of an object in the box."""

    target: Ref
    name: str
    value: Any


@dataclass(frozen=True, slots=True)
class GetName:
    """Reading a global name of the program."""

    name: str


Operation = Call | GetAttribute | SetAttribute | GetName


@dataclass(frozen=True, slots=True)
class Job:
    """A program and the calls to make of it, in order and in one process.

    Attributes:
      source: Python text; it is run once, as a module that is not `__main__`.
      calls: what to ask of it afterwards; state is kept from call to call.
      cpu_s: CPU seconds for this job; None for the sandbox's limit.
      wall_s: wall-clock seconds; None for the sandbox's limit.
    """

    source: str
    calls: tuple[Operation, ...] = ()
    cpu_s: float | None = None
    wall_s: float | None = None


@dataclass(frozen=True, slots=True)
class CallResult:
    """What the box reported about one call; trust it as far as the candidate.

    Attributes:
      status: see `CallStatus`.
      value: the value if `status` is "value", else None.
      type_name: the type of the object or exception that was not a value.
      message: the exception's text, or what else went wrong; cut at 200 characters.
      changed: positional and keyword arguments after the call, if it changed any in place.
    """

    status: CallStatus
    value: Any = None
    type_name: str = ""
    message: str = ""
    changed: tuple[tuple[Any, ...], dict[str, Any]] | None = None


@dataclass(frozen=True, slots=True)
class JobResult:
    """What came of a job.

    Attributes:
      loaded: how running the source ended; status "value" if it did without an exception.
      calls: one result per call, in order.
      cpu_s: CPU seconds of the process, measured outside it; None if it never started.
      level: the level it ran at.
    """

    loaded: CallResult
    calls: tuple[CallResult, ...]
    cpu_s: float | None
    level: Level


@dataclass(frozen=True, slots=True)
class Suite:
    """A test and the trusted reference that passes it.

    Attributes:
      test: HumanEval's `check` function, or MBPP's assert statements, one a line; of a program that
        reads standard input see `streams.stream_suite`.
      entry_point: name of the function under test.
      style: "humaneval" or "mbpp": who the other names of the test belong to; or "stdin".
      reference: a program that passes the test.
      setup: statements to run before the asserts (MBPP's `test_setup_code`).
    """

    test: str
    entry_point: str
    style: Literal["humaneval", "mbpp", "stdin"]
    reference: str | None = None
    setup: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a program passes a test, decided outside the box.

    Attributes:
      status: see `Status`; only "passed" is a pass.
      detail: why not, one line; empty for a pass.
      level: the sandbox level.
      cpu_s: CPU seconds of the candidate; None where it was not measured.
    """

    status: Status
    detail: str
    level: Level
    cpu_s: float | None = None
