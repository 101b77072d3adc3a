"""Programs that read standard input: honest ones pass, and no attack does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stepnav.core.errors import DataError
from stepnav.sandbox import Limits, Sandbox, judge_problem
from stepnav.sandbox.streams import same_output, stream_suite

SECRET = "expected-4711"
"""What the second input wants to be printed; no program can work it out."""

SUITE = stream_suite([("1 2\n", "3\n"), ("20 22", SECRET)])
SUM = stream_suite([("1 2\n", "3\n"), ("20 22", "42"), ("-5 5\n", "0\n\n")])


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox("process", limits=Limits(wall_s=1.0, output_bytes=2**20)) as made:
        yield made


HONEST = {
    "input": "a, b = map(int, input().split())\nprint(a + b)",
    "open(0)": "print(sum(map(int, open(0).read().split())))",
    "open(0, 'rb')": "print(sum(map(int, open(0, 'rb').readline().split())))",
    "lines": "import sys\nfor line in sys.stdin:\n    print(sum(map(int, line.split())), end='  ')",
    "bytes": (
        "import sys\nread = sys.stdin.buffer.read\n"
        "sys.stdout.buffer.write(b'%d' % sum(map(int, read().split())))"
    ),
    "descriptors": "import os\nos.write(1, str(sum(map(int, os.read(0, 99).split()))).encode())",
    "fast": (
        "import io, os, sys\nfd = sys.stdin.fileno()\n"
        "read = io.BytesIO(os.read(fd, 2**16)).readline\n"
        "os.write(sys.stdout.fileno(), b'%d\\n' % sum(map(int, read().split())))"
    ),
    "main": (
        "def main():\n    print(sum(map(int, input().split())))\n"
        "if __name__ == '__main__':\n    main()\n    exit()\n    print('never')"
    ),
    "exit code": "import sys\nprint(sum(map(int, input().split())))\nsys.exit(1)",
    "thread": (
        "import sys, threading\nthreading.stack_size(2**26)\nsys.setrecursionlimit(10**6)\n"
        "def main():\n    print(sum(map(int, input().split())))\n"
        "thread = threading.Thread(target=main)\nthread.start()\nthread.join()"
    ),
    "deep": (
        "import sys\nsys.setrecursionlimit(10**5)\ndef f(n):\n    return n and 1 + f(n - 1)\n"
        "a, b = map(int, input().split())\nprint(f(20000) + a + b - 20000)"
    ),
    "closes": "import sys\nprint(sum(map(int, input().split())))\nsys.stdout.close()",
    "error stream": (
        "import sys\nprint('hm', file=sys.stderr)\nprint(sum(map(int, input().split())))"
    ),
    "buffered output of its own": (
        "import io, os, sys\n"
        "class Fast(io.IOBase):\n"
        "    def __init__(self, file):\n"
        "        self.fd, self.buffer = file.fileno(), io.BytesIO()\n"
        "        self.writable = 'x' in file.mode or 'r' not in file.mode\n"
        "    def read(self):\n        return os.read(self.fd, 2**20)\n"
        "    def write(self, text):\n        self.buffer.write(text.encode())\n"
        "    def flush(self):\n        os.write(self.fd, self.buffer.getvalue())\n"
        "sys.stdin, sys.stdout = Fast(sys.stdin), Fast(sys.stdout)\n"
        "sys.stdout.write('%d\\n' % sum(map(int, sys.stdin.read().split())))"
    ),
    "at exit": (
        "import atexit\n"
        "atexit.register(lambda: print(sum(map(int, input().split()))))\n"
    ),
    "fileinput": (
        "import fileinput\nprint(sum(int(n) for line in fileinput.input() for n in line.split()))"
    ),
    "arguments": (
        "import sys\nassert len(sys.argv) == 1\nprint(sum(map(int, input().split())))"
    ),
    "first streams": (
        "import sys\n"
        "sys.__stdout__.write(str(sum(map(int, sys.__stdin__.read().split()))))"
    ),
    "devices": (
        "with open('/dev/stdin') as read, open('/dev/stdout', 'w') as write:\n"
        "    print(sum(map(int, read.read().split())), file=write)"
    ),
    "state": (
        "import builtins\nassert not hasattr(builtins, 'seen')\nbuiltins.seen = 1\n"
        "print(sum(map(int, input().split())))"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_program_passes(name: str, sandbox: Sandbox) -> None:
    verdict = judge_problem(sandbox, SUM, HONEST[name])
    assert (verdict.status, verdict.detail) == ("passed", "")
    assert verdict.cpu_s is not None and verdict.cpu_s > 0


FIND = """
import gc, os, re, sys
def look():
    yield from map(repr, gc.get_objects())
    frame = sys._getframe()
    while frame is not None:
        yield repr(frame.f_locals) + repr(frame.f_code.co_consts)
        frame = frame.f_back
    yield repr(dict(os.environ)) + repr(sys.argv) + repr(sys.orig_argv)
    for path in ("/proc/self/mem", "/proc/self/environ", "/proc/self/cmdline", @PATHS@):
        try:
            with open(path, "rb") as file:
                yield repr(file.read(2**20))
        except Exception:
            pass
    for number in range(64):
        try:
            os.set_blocking(number, False)
            yield repr(os.read(number, 2**20))
        except Exception:
            pass
text = input()
found = None
if text != "1 2":
    for place in look():
        match = re.search("expected-[0-9]{4}", place)
        if match:
            found = match[0]
print(found or 3)
"""

LIAR = """
import sys
class Text(str):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def strip(self, *a): return self
    def split(self, *a): return self
    def decode(self, *a): return self
    __hash__ = str.__hash__
class Bytes(bytes):
    def decode(self, *a): return Text("x")
sys.modules["candidate"]._Held.getvalue = lambda self: Bytes(b"x")
"""

FORGE = """
import os, struct
print(3)
for number in range(3, 64):
    try:
        os.write(number, struct.pack("<I", 9) + b"forged..." + b"passed")
    except OSError:
        pass
"""

ATTACKS = {
    "looks for the output everywhere": (FIND, {"failed", "error", "crash", "output"}),
    "text equal to all": (LIAR, {"failed"}),
    "writes to every descriptor": (FORGE, {"output"}),
    "returns from the runner": (
        "import sys\nsys.modules['candidate'].run = lambda *a: 'passed'\nprint(3)", {"failed"}),
    "exits before it prints": ("import sys\nsys.exit(0)", {"failed"}),
    "exits hard": ("import os\nprint(3, flush=True)\nos._exit(0)", {"crash"}),
    "raises after it printed": ("print(input() and 3)\nraise ValueError('done')", {"error"}),
    "interrupts": ("raise KeyboardInterrupt", {"error"}),
    "floods": ("while True:\n    print('3' * 10**6)", {"memory", "timeout", "output"}),
    "prints more than it may": ("print('3' * 2**21)", {"output"}),
    "sleeps": ("import time\ntime.sleep(3600)", {"timeout"}),
    "loops": ("while True:\n    pass", {"timeout"}),
    "reads more than there is": ("input()\ninput()", {"error"}),
    "is no program": ("print(", {"error"}),
    "forks": ("import os\nos.fork()\nprint(3)", {"error", "crash"}),
    "guesses the first": ("print(3)", {"failed"}),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_no_attack_passes(name: str, sandbox: Sandbox, tmp_path: Path) -> None:
    source, allowed = ATTACKS[name]
    known = tmp_path / "outputs.json"
    known.write_text(SECRET)
    source = source.replace("@PATHS@", f"{str(known)!r}, {__file__!r}")
    verdict = judge_problem(sandbox, SUITE, source, cpu_s=1.0)
    assert verdict.status in allowed, verdict
    assert judge_problem(sandbox, SUM, HONEST["input"]).status == "passed"  # nothing is left


def test_the_secret_would_be_found_where_it_is() -> None:
    """The attack is real: without a box it prints what this process holds."""
    import contextlib
    import io
    import sys

    printed = io.StringIO()
    source = FIND.replace("@PATHS@", repr(__file__)).replace(
        "for number in range(64)", "for number in ()"
    )
    before = sys.stdin
    sys.stdin = io.StringIO("20 22\n")
    try:
        with contextlib.redirect_stdout(printed):
            exec(source.replace("yield from map(repr, gc.get_objects())", ""), {})
    finally:
        sys.stdin = before
    assert printed.getvalue() == f"{SECRET}\n"


@pytest.mark.parametrize(
    ("printed", "wanted", "same"),
    [
        ("3", "3\n", True),
        (" 1 2 \n\t3\r\n\n", "1 2\n3", True),
        ("\n\n3", "3", True),
        ("1\n\n2", "1\n2", False),
        ("1  2", "1 2", False),
        ("3.0", "3", False),
        ("yes", "YES", False),
        ("", "", True),
    ],
)
def test_outputs_are_compared_by_lines(printed: str, wanted: str, same: bool) -> None:
    assert same_output(printed, wanted) is same


def test_a_test_without_inputs_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(DataError, match="the test has no input"):
        judge_problem(sandbox, stream_suite([]), "print(1)")


def test_the_detail_names_the_input(sandbox: Sandbox) -> None:
    verdict = judge_problem(sandbox, SUM, "print(3)")
    assert verdict.detail == "input 2: printed '3\\n', not '42'"
