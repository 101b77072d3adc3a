"""What outlives a candidate or its caller, what one candidate can tell the next, and who waits for
whom."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stepnav.core.errors import SandboxError
from stepnav.sandbox import Call, Job, Limits, Sandbox, Suite, judge_problem, open_session
from stepnav.sandbox.layers.confine import library_folders, readable

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux")

LEVELS = ["process", "namespace"]


@pytest.fixture(scope="module", params=LEVELS)
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    with Sandbox(request.param, limits=Limits(cpu_s=1.0, wall_s=20.0)) as box:
        yield box


def value(sandbox: Sandbox, source: str, name: str = "f", *args: object) -> object:
    (result,) = sandbox.run(Job(source, (Call(name, args),))).calls
    assert result.status == "value", result
    return result.value


def wait_until(is_so: Callable[[], bool], seconds: float = 10.0) -> bool:
    until = time.monotonic() + seconds
    while not is_so() and time.monotonic() < until:
        time.sleep(0.02)
    return is_so()


# ---- one candidate and the next


@pytest.mark.parametrize(
    "leaving",
    [
        "open('/tmp/note', 'w').write('x')",
        "open('/tmp/note', 'w').write('x'); os.unlink('/tmp/note')",
        "os.makedirs('/tmp/a/b/c')",
        "[open(f'/tmp/{i}', 'w').close() for i in range(2000)]",
        "open('/tmp/full', 'wb').write(bytes(10**8))",
    ],
)
def test_scratch_is_fresh_for_every_program(leaving: str) -> None:
    left = f"import os\ntry:\n    {leaving}\nexcept OSError: pass\ndef f(): return 1"
    look = (
        "import os\ndef f():\n    open('/tmp/own', 'w').write('x' * 10**7)\n"
        "    return sorted(os.listdir('/tmp')), os.stat('/tmp/own').st_ino"
    )
    with Sandbox("namespace") as box:
        first = value(box, look)
        assert first[0] == ["own"]  # type: ignore[index]
        value(box, left)
        assert value(box, look) == first


def test_programs_that_leave_scratch_alone_share_a_warm_parent() -> None:
    with Sandbox("namespace") as box:
        value(box, "def f(): return 1")
        pid = box.workers[0].pid
        value(box, "import os\ndef f(): return os.listdir('/tmp')")
        assert box.workers[0].pid == pid
        value(box, "open('/tmp/x', 'w').close()\ndef f(): return 1")
        value(box, "def f(): return 1")
        assert box.workers[0].pid != pid


def test_flags_of_descriptors_do_not_pass_from_one_to_the_next(sandbox: Sandbox) -> None:
    source = (
        "import fcntl, os\ndef f():\n    found = [fcntl.fcntl(n, fcntl.F_GETFL) for n in "
        "range(3)]\n"
        "    for n in range(3): fcntl.fcntl(n, fcntl.F_SETFL, os.O_APPEND | os.O_NONBLOCK)\n"
        "    return found"
    )
    assert len({str(value(sandbox, source)) for _ in range(4)}) == 1


# ---- what the box shows

OTHERS = """
import os, time, resource
def clock(pid):
    try: return time.clock_gettime(((~pid) << 3) | 2)
    except OSError as error: return -error.errno
def limits(pid):
    try: return resource.prlimit(pid, resource.RLIMIT_NOFILE)
    except OSError as error: return -error.errno
def affinity(pid):
    try: return len(os.sched_getaffinity(pid))
    except OSError as error: return -error.errno
def own():
    return (time.process_time() > 0, time.thread_time() > 0, time.clock_gettime(0) > 0,
            time.clock_getres(1) > 0, len(os.sched_getaffinity(0)) > 0,
            resource.getrlimit(resource.RLIMIT_CORE), time.sleep(0.001))
def size(path):
    try: return os.stat(path).st_size
    except OSError as error: return -error.errno
def read(path):
    try: return open(path, 'rb').read(1)
    except OSError as error: return -error.errno
"""


@pytest.mark.parametrize("name", ["clock", "limits", "affinity"])
def test_no_call_tells_of_other_processes(sandbox: Sandbox, name: str) -> None:
    for pid in (1, 2, os.getpid(), 2**22 - 1):
        found = value(sandbox, OTHERS, name, pid)
        assert isinstance(found, int) and found < 0
    assert value(sandbox, OTHERS, "own") == (True, True, True, True, True, (0, 0), None)


def test_the_machine_has_no_names_at_level_namespace(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    own = f"/proc/{os.getpid()}"
    places = (own, "/proc", "/etc/passwd", str(tmp_path / "file"), "/var", "/sys", "/home")
    with Sandbox("namespace") as box:
        assert [value(box, OTHERS, "size", place) for place in places] == [-2] * len(places)


def test_installed_packages_cannot_be_read(sandbox: Sandbox) -> None:
    """Nor this one, wherever it lies."""
    package = importlib.util.find_spec("stepnav.sandbox.inside.box")
    assert package is not None and package.origin is not None
    folders = [Path(sysconfig.get_paths()["purelib"])]
    folders += [
        path
        for top in library_folders()
        for name in ("site-packages", "dist-packages")
        for path in (Path(top, name), *Path(top).glob(f"python*/{name}"))
    ]
    files = [package.origin]
    for folder in filter(Path.is_dir, folders):
        files += [str(path) for path in sorted(folder.glob("*"))[:5] if path.is_file()]
        files += [str(path) for path in sorted(folder.glob("*/*.py"))[:5]]
    assert len(files) > 3
    for file in files:
        assert value(sandbox, OTHERS, "read", file) in (-13, -2), file
    for name in ("os", "json", "encodings.idna", "email.parser", "zoneinfo", "sqlite3"):
        assert value(sandbox, f"import {name}\ndef f(): return 1") == 1


def test_a_rule_is_given_around_packages_and_never_above_them(tmp_path: Path) -> None:
    for name in (
        "python3.11/site-packages/x",
        "python3.11/json",
        "python3/dist-packages",
        "so",
        "own/sub",
    ):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "python3.11" / "site-packages")
    files, listed = readable([str(tmp_path)], str(tmp_path / "own" / "sub"))
    inside = {Path(item) for item in files if item.startswith(str(tmp_path))}
    assert inside == {tmp_path / "python3.11" / "json", tmp_path / "so"}
    names = {"", "python3.11", "python3", "own"}
    assert {Path(item) for item in listed} == {tmp_path / name for name in names}


def test_a_missing_filter_is_named_before_anything_runs() -> None:
    """A seccomp filter of our own around the warm parent forbids seccomp."""
    script = """
from stepnav.sandbox import Suite, Sandbox, judge_problem
from stepnav.sandbox.layers import seccomp
from stepnav.sandbox.layers import syscalls
from stepnav.core.errors import SandboxError
rules = seccomp._prologue(syscalls.MACHINE)
rules += seccomp._if_number(syscalls.SECCOMP, [(6, 0, 0, 0x00050000 | 1)])
rules += [(6, 0, 0, 0x7FFF0000)]
syscalls.prctl(38, 1)
seccomp.Filter(rules).install()
for level in ("process", "namespace"):
    try:
        suite = Suite("assert f() == 1", "f", "mbpp", "def f(): return 1")
        judge_problem(Sandbox(level), suite, "")
    except SandboxError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert len(lines) == 2 and all("'seccomp'" in line and "EPERM" in line for line in lines), done


# ---- who waits for whom

FLOODING = """
import os
def f(x):
    block = bytes(2**16)
    while True:
        for descriptor in range(3, 64):
            try: os.write(descriptor, block)
            except OSError: pass
flood = f
read = os.read
def listen(*args):
    os.read = read
    flood(0)
os.read = listen
def f(x): return 1
"""
DEAF = "import os, time\nos.read = lambda *a: time.sleep(1000)\ndef f(x): return 1"


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    ("source", "status"), [(FLOODING, "output"), (DEAF, "timeout")], ids=["flooding", "deaf"]
)
def test_a_large_argument_meets_a_box_that_does_not_read(
    level: str, source: str, status: str
) -> None:
    limits = Limits(cpu_s=5.0, wall_s=1.0, output_bytes=2**24)
    with Sandbox(level, limits=limits) as box:  # type: ignore[arg-type]
        began = time.monotonic()
        with open_session(box, source) as session:
            result = session.run(Call("f", (bytes(2**25),)))
        assert time.monotonic() - began < 20
        assert result.status in (status, "encoding")
        assert value(box, "def f(): return 1") == 1


def test_the_clock_runs_while_a_job_is_sent() -> None:
    """A program whose source alone does not fit into any pipe, in a child that never gets to it."""
    with Sandbox("process", limits=Limits(cpu_s=0.5, wall_s=1.0)) as box:
        began = time.monotonic()
        assert value(box, f"x = '{'y' * 2**23}'\ndef f(): return len(x)") == 2**23
        result = box.run(Job("while True: pass", (Call("f", (bytes(2**24),)),)))
        assert result.loaded.status == "timeout"
        assert time.monotonic() - began < 30


def test_a_warm_parent_that_is_stopped_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepnav.sandbox.worker.GRACE_S", 0.5)
    with Sandbox("process", limits=Limits(cpu_s=2.0, wall_s=0.2)) as box:
        value(box, "def f(): return 1")
        pid = box.workers[0].pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        job = Job("def f(x): return 1", (Call("f", (bytes(2**22),)),))
        assert box.run(job).calls[0].value == 1  # by another one
        assert box.workers[0].pid != pid


# ---- kill and interrupt

SLEEPING = "import time\\ndef f():\\n    time.sleep(1000)"
CALLERS = {
    "judging": "from stepnav.sandbox import *\nimport sys\nbox = Sandbox(sys.argv[1])\n"
    "p = Suite('assert f() == 1', 'f', 'mbpp', 'def f(): return 1')\n"
    "prepare(box, p)\nprint('ready', flush=True)\n"
    f"judge_problem(box, p, '{SLEEPING}')\n",
    "batch": "from stepnav.sandbox import *\nimport sys\nbox = Sandbox(sys.argv[1])\n"
    "p = Suite('assert f() == 1', 'f', 'mbpp', 'def f(): return 1')\n"
    "judge_batch(box, p, ['def f(): return 2'])\nprint('ready', flush=True)\n"
    f"judge_problem(box, p, '{SLEEPING}')\n",
    "session": "from stepnav.sandbox import *\nimport sys\nbox = Sandbox(sys.argv[1])\nbox.start()\n"
    "print('ready', flush=True)\n"
    f"with open_session(box, '{SLEEPING}') as s: s.run(Call('f'))\n",
    "beside a fork that holds the pipes": "from stepnav.sandbox import *\nimport os, sys, time\n"
    "box = Sandbox(sys.argv[1])\nbox.start()\n"
    "if os.fork() == 0:\n    os.setsid()\n    time.sleep(5)\n    os._exit(0)\n"
    "print('ready', flush=True)\n"
    f"box.run(Job('{SLEEPING}', (Call('f'),)))\n",
}


def descendants(pid: int) -> set[int]:
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found |= {child} | descendants(child)
    return found


def of_the_box(pids: set[int]) -> set[int]:
    """Return those that still run as a part of a sandbox."""
    left = set()
    for pid in pids:
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if b"stepnav.sandbox.inside.boot" in command and state != "Z":
            left.add(pid)
    return left


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL, signal.SIGHUP])
@pytest.mark.parametrize("caller", CALLERS.values(), ids=CALLERS)
def test_no_process_outlives_a_caller_that_is_ended(
    caller: str, number: signal.Signals, level: str
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", caller, level], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == b"ready\n"
        least = 3 if level == "process" else 4  # the warm parent, the one that sleeps, the next one
        assert wait_until(lambda: len(of_the_box(descendants(process.pid))) >= least)
        time.sleep(0.1)
        pids = of_the_box(descendants(process.pid))
        process.send_signal(number)
        process.wait()
        assert wait_until(lambda: not of_the_box(pids), 3.0)


@pytest.mark.parametrize("level", LEVELS)
def test_no_candidate_outlives_its_warm_parent(level: str) -> None:
    with Sandbox(level) as box:  # type: ignore[arg-type]
        with pytest.raises(SandboxError, match="died"), open_session(box, DEAF) as session:  # noqa: PT012
            parent = box.workers[0].pid
            assert parent is not None
            pids = of_the_box(descendants(parent))
            assert len(pids) >= 2
            os.kill(parent, signal.SIGKILL)
            assert wait_until(lambda: not of_the_box(pids), 3.0)
            session.run(Call("f", (1,)))
        assert value(box, "def f(): return 1") == 1


def test_a_warm_parent_that_is_killed_while_a_reference_is_recorded_is_replaced() -> None:
    """Killed by the test itself, the first time it runs."""
    with Sandbox("process") as box:
        box.start()
        pid = box.workers[0].pid
        assert pid is not None
        test = f"import os\nassert f(1) == 1\ntry: os.kill({pid}, 9)\nexcept OSError: pass\n"
        problem = Suite(f"{test}assert f(2) == 2", "f", "mbpp", "def f(x): return x")
        assert judge_problem(box, problem, "def f(x): return x").status == "passed"
        assert box.workers[0].pid != pid
