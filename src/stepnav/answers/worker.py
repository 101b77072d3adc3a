"""The process that asks math-verify, one pair of answers at a time: a line of JSON in, one out.

Each comparison may use a limited CPU time: when the process clock has run that long, the kernel
kills the process (SIGPROF, whose default action is death), whatever C code it is in; the pool reads
that death as "timeout" and starts another process. Wall-clock time is not looked at, so a busy
machine changes no verdict; math-verify's own limits, which are wall-clock, are switched off.

Run by `stepnav.answers.pool` as `python -m stepnav.answers.worker`; imports no torch.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import signal
import sys
from typing import IO, Any

MEMORY_BYTES = 4 * 2**30
WARM_UP = {"answer": r"\frac{x}{2}+1", "reference": r"1+\frac{x}{2}", "cpu_s": 600.0}


def main() -> None:
    """Answer requests from standard input until it closes."""
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.disable(logging.WARNING)
    try:
        import math_verify
    except ImportError as error:
        _send(replies, {"error": str(error)})
        return
    _judge(math_verify, WARM_UP)  # the first parse builds tables, which is no comparison's fault
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    _send(replies, {"ready": True})
    for line in sys.stdin:
        _send(replies, {"verdict": _judge(math_verify, json.loads(line))})


def _judge(math_verify: Any, request: dict[str, Any]) -> str:
    """Return the verdict; dies when the CPU time is over."""
    signal.setitimer(signal.ITIMER_PROF, request["cpu_s"])
    try:
        answer = math_verify.parse(_delimited(request["answer"]), parsing_timeout=None)
        reference = math_verify.parse(_delimited(request["reference"]), parsing_timeout=None)
        is_equal = math_verify.verify(reference, answer, timeout_seconds=None)
    except MemoryError:
        return "timeout"
    except Exception:  # what math-verify cannot read equals nothing
        return "different"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return "equal" if is_equal else "different"


def _delimited(answer: str) -> str:
    return answer if "$" in answer or "\\boxed" in answer else f"${answer}$"


def _send(replies: IO[str], reply: dict[str, Any]) -> None:
    replies.write(json.dumps(reply) + "\n")
    replies.flush()


if __name__ == "__main__":
    main()
