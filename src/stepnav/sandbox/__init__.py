"""Running untrusted Python: only values come out of the box, and verdicts are made outside it.

    with open_sandbox("process", limits=Limits(cpu_s=3)) as sandbox:
        result = sandbox.run(Job("def f(x): return x + 1", (Call("f", (1,)),)))
        result.calls[0].value                                # 2
        problem = Suite("assert f(1) == 2", "f", "mbpp", reference)
        judge_problem(sandbox, problem, source).status       # "passed"
        judge_batch(sandbox, problem, sources)               # many variants of the reference

`docs/sandbox.md` says what is covered and what is not.
"""

from stepnav.sandbox.batch import judge_batch
from stepnav.sandbox.judge import judge, judge_problem, prepare
from stepnav.sandbox.live import LiveSession, open_session
from stepnav.sandbox.pool import Sandbox
from stepnav.sandbox.probe import LEVELS, open_sandbox, probe
from stepnav.sandbox.records import (
    Call,
    CallResult,
    GetAttribute,
    GetName,
    Job,
    JobResult,
    Level,
    Limits,
    Ref,
    SetAttribute,
    Suite,
    Verdict,
)

__all__ = [
    "LEVELS",
    "Call",
    "CallResult",
    "GetAttribute",
    "GetName",
    "Job",
    "JobResult",
    "Level",
    "Limits",
    "LiveSession",
    "Ref",
    "Sandbox",
    "SetAttribute",
    "Suite",
    "Verdict",
    "judge",
    "judge_batch",
    "judge_problem",
    "open_sandbox",
    "open_session",
    "prepare",
    "probe",
]
