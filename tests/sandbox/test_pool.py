from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from stepnav.core.errors import ConfigError, SandboxError
from stepnav.sandbox import (
    Call,
    GetAttribute,
    Job,
    Limits,
    Ref,
    Sandbox,
    SetAttribute,
    open_sandbox,
    open_session,
    probe,
)
from stepnav.sandbox.layers.advice import layer_message
from stepnav.sandbox.layers.docker import docker_command
from stepnav.sandbox.layers.seccomp import ALLOWED, WRITING, program
from stepnav.sandbox.pool import split_frames

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux")

LEVELS = ["process", "namespace"]
SOURCE = """
count = 0
class Node:
    def __init__(self, value): self.value = value
def next_count():
    global count
    count += 1
    return count
def total(nodes): return sum(node.value for node in nodes)
def grow(items): items.append(len(items))
def spin():
    while True: pass
def fail(): raise ValueError("no")
def die():
    import os
    os._exit(3)
def hide(): return object()
"""


@pytest.fixture(scope="module", params=LEVELS)
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    with Sandbox(request.param, limits=Limits(cpu_s=1.0, wall_s=20.0)) as box:
        yield box


def test_calls_share_state_within_a_job_and_not_between_jobs(sandbox: Sandbox) -> None:
    job = Job(SOURCE, (Call("next_count"), Call("next_count")))
    for _ in range(2):
        result = sandbox.run(job)
        assert [call.value for call in result.calls] == [1, 2]
        assert result.level == sandbox.level
        assert result.cpu_s is not None and 0 < result.cpu_s < 1


def test_every_way_a_call_can_end(sandbox: Sandbox) -> None:
    calls = (Call("fail"), Call("hide"), Call("absent"), Call("next_count", (1, 2)))
    failed, hidden, absent, wrong = sandbox.run(Job(SOURCE, calls)).calls
    assert (failed.status, failed.type_name, failed.message) == ("error", "ValueError", "no")
    assert (hidden.status, hidden.type_name) == ("object", "object")
    assert (absent.status, absent.type_name) == ("error", "NameError")
    assert (wrong.status, wrong.type_name) == ("error", "TypeError")


def test_a_death_keeps_the_earlier_answers(sandbox: Sandbox) -> None:
    for name, status in (("die", "crash"), ("spin", "timeout")):
        result = sandbox.run(
            Job(SOURCE, (Call("next_count"), Call(name), Call("next_count")), cpu_s=0.2)
        )
        assert [call.status for call in result.calls] == ["value", status, "missing"]
    assert sandbox.run(Job(SOURCE, (Call("next_count"),))).calls[0].value == 1


def test_objects_stay_in_the_box_and_can_be_passed(sandbox: Sandbox) -> None:
    calls = (
        Call("Node", (5,)), Call("Node", (6,)), SetAttribute(Ref(1), "value", 7),
        Call("total", ([Ref(0), Ref(1)],)), GetAttribute(Ref(1), "value"),
    )  # fmt: skip
    results = sandbox.run(Job(SOURCE, calls)).calls
    assert [item.status for item in results] == ["object", "object", "value", "value", "value"]
    assert [results[3].value, results[4].value] == [12, 7]


def test_arguments_changed_in_place_come_back(sandbox: Sandbox) -> None:
    (result,) = sandbox.run(Job(SOURCE, (Call("grow", ([5],)),))).calls
    assert result.value is None and result.changed == (([5, 1],), {})


@pytest.mark.parametrize("source", ["def f(:", "1/0", "raise SystemExit", "\0"])
def test_a_program_that_does_not_load(sandbox: Sandbox, source: str) -> None:
    result = sandbox.run(Job(source, (Call("f"),)))
    assert result.loaded.status == "error"
    assert [call.status for call in result.calls] != ["value"]


def test_map_keeps_the_order() -> None:
    with Sandbox("process", workers=2) as box:
        jobs = (Job(f"def f(): return {i}", (Call("f"),)) for i in range(12))
        assert [result.calls[0].value for result in box.map(jobs)] == list(range(12))


def test_a_live_session(sandbox: Sandbox) -> None:
    with open_session(sandbox, SOURCE) as session:
        assert session.loaded.status == "value"
        assert [session.run(Call("next_count")).value for _ in range(3)] == [1, 2, 3]
        assert session.run(Call("die")).status == "crash"
        assert session.run(Call("next_count")).status == "crash"
    assert sandbox.run(Job(SOURCE, (Call("next_count"),))).calls[0].value == 1


def test_a_warm_parent_that_dies_is_started_again() -> None:
    with Sandbox("process") as box:
        job = Job(SOURCE, (Call("next_count"),))
        box.run(job)
        pid = box.workers[0].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        assert box.run(job).calls[0].value == 1
        assert box.workers[0].pid != pid


def test_a_warm_parent_that_dies_twice_in_a_job_is_one_clear_error() -> None:
    with Sandbox("process", limits=Limits(cpu_s=20, wall_s=30)) as box:
        box.start()
        is_over = threading.Event()

        def killer() -> None:
            while not is_over.wait(0.05):
                pid = box.workers[0].pid
                if pid is not None:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)

        thread = threading.Thread(target=killer)
        thread.start()
        try:
            with pytest.raises(SandboxError, match=r"died twice|did not start"):
                box.run(Job(SOURCE, (Call("spin"),)))
        finally:
            is_over.set()
            thread.join()


def test_no_process_is_left_behind(sandbox: Sandbox) -> None:
    pids = set()
    for _ in range(20):
        result = sandbox.run(Job("import os\ndef f(): return os.getpid()", (Call("f"),)))
        pids.add(result.calls[0].value)
    assert len(pids) == 20
    if sandbox.level == "process":  # in a namespace the numbers are its own
        assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def test_the_box_starts_clean(sandbox: Sandbox) -> None:
    source = """
import os, sys
def look():
    open_now = []
    for descriptor in range(64):
        try: os.fstat(descriptor); open_now.append(descriptor)
        except OSError: pass
    return sorted(os.environ), len(open_now), sys.flags.no_site, sys.argv[1:2] != [], __name__
def read(): return sys.stdin.read()
"""
    look, read = sandbox.run(Job(source, (Call("look"), Call("read")))).calls
    environment, descriptors, no_site, _, name = look.value
    assert environment == ["LC_ALL", "PYTHONHASHSEED", "PYTHONUTF8"]
    assert descriptors == 4  # three of nothing and its channel
    assert no_site == 1 and name == "candidate" and read.value == ""


def test_scratch_exists_at_level_namespace_only(sandbox: Sandbox) -> None:
    place = Path("/tmp", f"stepnav-{uuid.uuid4()}")
    source = f"def f():\n    open('{place}', 'w').write('abc')\n    return open('{place}').read()\n"
    (result,) = sandbox.run(Job(source, (Call("f"),))).calls
    assert result.value == ("abc" if sandbox.level == "namespace" else None)
    assert not place.exists()


@pytest.mark.parametrize("level", LEVELS)
def test_probes_name_an_errno_for_every_attempt(level: str) -> None:
    with open_sandbox(level) as box:
        found = probe(box)
    assert set(found) == {"read", "write", "connect", "fork", "start", "signal", "allocate"}
    assert all(found.values())


def test_a_hole_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with Sandbox("unsafe") as box:
        monkeypatch.setattr(box, "level", "process")  # what a kernel without layers would be
        with pytest.raises(SandboxError, match=r"'read' succeeded.*'landlock'.*weaker level"):
            probe(box)


def test_unknown_levels_and_messages() -> None:
    with pytest.raises(ConfigError, match="did you mean 'process'"):
        open_sandbox("proces")
    text = layer_message("namespace", "namespaces", 1, "Operation not permitted")
    assert "EPERM" in text and "userns" in text and "process, docker or unsafe" in text
    with pytest.raises(ValueError, match="cpu_s"):
        Limits(cpu_s=0)
    with pytest.raises(ValueError, match="workers"):
        Sandbox(workers=0)


def test_a_missing_layer_is_refused_with_its_name() -> None:
    """A seccomp filter of our own around the warm parent forbids Landlock."""
    script = """
import struct, ctypes
from stepnav.sandbox import Job, Sandbox
from stepnav.sandbox.layers import seccomp
from stepnav.sandbox.layers import syscalls
from stepnav.core.errors import SandboxError
rules = seccomp._prologue(syscalls.MACHINE)
rules += seccomp._if_number(444, [(6, 0, 0, 0x00050000 | 38)])
rules += [(6, 0, 0, 0x7FFF0000)]
syscalls.prctl(38, 1)
seccomp.Filter(rules).install()
try:
    Sandbox("process").run(Job(""))
except SandboxError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=dict(os.environ)
    )
    assert "'landlock'" in done.stdout and "ENOSYS" in done.stdout, done.stderr


def test_docker_arguments() -> None:
    limits = Limits(memory_bytes=2**28, scratch_bytes=2**20)
    command = docker_command("img", Path("/pkg/stepnav"), limits, "boot")
    text = " ".join(command)
    assert command[:3] == ["docker", "run", "--rm"]
    for option in (
        "--network none", "--read-only", "--cap-drop ALL", "--security-opt no-new-privileges",
        "--pids-limit 64", f"--memory {2**27 + 2**29 + 2**20}", "--user 65534:65534",
        "--mount type=bind,source=/pkg/stepnav,target=/box/stepnav,readonly",
    ):  # fmt: skip
        assert option in text
    assert command[command.index("img") :] == [
        "img", "-S", "-s", "-B", "-c", "boot", "/box/stepnav",
    ]  # fmt: skip
    assert "--privileged" not in command


def test_docker_level_speaks_the_same_protocol(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in engine runs the command behind its options without a container."""
    package = Path(__file__).parents[2] / "src" / "stepnav"
    engine = tmp_path / "docker"
    engine.write_text(
        f"#!{sys.executable}\n"
        "import os, sys\n"
        "at = sys.argv.index('--entrypoint') + 3\n"
        "rest = [item.replace('/box/stepnav', %r) for item in sys.argv[at:]]\n"
        "os.execv(sys.executable, [sys.executable, *rest])\n" % str(package)
    )
    engine.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with Sandbox("docker") as box:
        result = box.run(Job(SOURCE, (Call("next_count"),)))
    assert (result.calls[0].value, result.level) == (1, "docker")


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_is_well_formed(machine: str) -> None:
    for can_write in (False, True):
        rules = program(can_write=can_write, machine=machine)
        assert len(rules) < 4096
        for at, (operation, if_true, if_false, _) in enumerate(rules):
            assert operation == 6 or at + 1 + max(if_true, if_false) < len(rules)
        assert rules[-1][0] == 6


def test_no_dangerous_call_is_on_the_list() -> None:
    numbers = {row[0] for row in (*ALLOWED.values(), *WRITING.values())}
    # clone, fork, vfork, execve, kill, socket, connect, ptrace, tkill, tgkill, unshare, execveat
    assert not numbers & {56, 57, 58, 59, 62, 41, 42, 101, 200, 234, 272, 322, 435, 425, 321, 310}
    with pytest.raises(OSError, match="mips"):
        program(machine="mips")


def test_frames_are_split_and_the_rest_kept() -> None:
    data = bytearray(b"\x02\0\0\0ab\x01\0\0\0c\x05\0\0\0d")
    assert split_frames(data, 9) == [b"ab", b"c"]
    assert data == b"\x05\0\0\0d"
