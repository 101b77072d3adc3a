"""Verdicts on programs that read standard input and write standard output.

Each input is given to a process of its own; what the program printed comes out as a value, and is
compared here. Expected outputs never enter the box, and neither does another input. Outputs are
equal if their lines are, without the white space around the lines and around the whole, as in
LiveCodeBench (Jain et al. 2024, arXiv 2403.07974); as there, an exit code is not looked at. Differs
in: lines are compared exactly, numbers too; LiveCodeBench also takes lines of equal decimals.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from stepnav.core.errors import DataError, quote
from stepnav.sandbox.inside import standard_streams
from stepnav.sandbox.pool import Sandbox
from stepnav.sandbox.records import Call, CallResult, Job, Status, Suite, Verdict

Pairs = list[tuple[str, str]]
"""Inputs with the output of each."""

_RUNNER = Path(standard_streams.__file__).read_text(encoding="utf-8")
_OUT_OF_BOX: dict[str, Status] = {"encoding": "output", "missing": "crash"}


def stream_suite(pairs: Iterable[tuple[str, str]]) -> Suite:
    """Return the test that a program gives these outputs on these inputs."""
    return Suite(json.dumps([*pairs]), "", "stdin")


def pairs_of(suite: Suite) -> Pairs:
    """Return the inputs and outputs of a test.

    Raises:
      DataError: there are none.
    """
    pairs = [(given, wanted) for given, wanted in json.loads(suite.test)]
    if not pairs:
        raise DataError("the test has no input")
    return pairs


def stream_job(source: str, inputs: Iterable[str], *, cpu_s: float | None = None) -> Job:
    """Return the job in which a program is run on inputs, one after the other in one process."""
    return Job(_RUNNER, tuple(Call("run", (source, text)) for text in inputs), cpu_s=cpu_s)


def judge_streams(
    sandbox: Sandbox, suite: Suite, source: str, *, cpu_s: float | None = None
) -> Verdict:
    """Return whether a program gives every output; the first other one ends it.

    Args:
      sandbox: where it runs.
      suite: of the style "stdin".
      source: the program.
      cpu_s: CPU seconds on one input; None for the sandbox's limit.
    """
    used = 0.0
    for number, (text, wanted) in enumerate(pairs_of(suite), 1):
        result = sandbox.run(stream_job(source, [text], cpu_s=cpu_s))
        used += result.cpu_s or 0.0
        status, why = _compared(result.calls[0], wanted)
        if status != "passed":
            return Verdict(status, f"input {number}: {why}"[:200], sandbox.level, used)
    return Verdict("passed", "", sandbox.level, used)


def same_output(printed: str, wanted: str) -> bool:
    r"""Return whether outputs are equal but for white space at the ends of lines and of the whole.

    Example:
      >>> same_output("1 2 \n3\n\n", "1 2\n3"), same_output("1  2\n3", "1 2\n3")
      (True, False)
    """
    return _lines(printed) == _lines(wanted)


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().split("\n")]


def _compared(call: CallResult, wanted: str) -> tuple[Status, str]:
    """Return the verdict on one run, and why it is no pass."""
    if call.status == "error":
        return "error", quote(f"{call.type_name}: {call.message}")
    if call.status == "value" and type(call.value) is str:
        if same_output(call.value, wanted):
            return "passed", ""
        return "failed", f"printed {quote(call.value)}, not {quote(wanted)}"
    if call.status in ("value", "object"):
        return "failed", "gave something else than text"
    return _OUT_OF_BOX.get(call.status, call.status), call.message  # type: ignore[arg-type]
