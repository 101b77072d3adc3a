"""The warm parent: a small clean Python process that forks one child per candidate.

It is started by `worker` with `python -S -s -B`, an empty environment and two pipes, imports what
candidates like to import, confines itself, and then waits for jobs. A spare child is always forked
ahead and already confined. A child that served a batch of trusted variants may serve the next
batch, if the trusted parent says so; it never serves a single job, and a single job's child serves
nothing else. This process never reads what a child says; it carries bytes both ways at once,
watches the child's CPU and wall clock from outside, and kills. It ends with the trusted parent, and
its children end with it, whatever ended it. It holds no expected value, no model and no secret.

Messages (see `pipes`) in: "J" job (CPU seconds, wall seconds, output cap, whether
it is a batch, whose CPU clock starts anew at each output; then the job), "D" data for the child,
"K" kill it, "F" the batch is finished, keep its child for the next. Out: "R" ready, "X" refused
(layer, errno, text), "D" data from the child, "E" end (why, exit code, CPU seconds, and whether
this process ends too, because the program left something in its scratch folder).
"""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import select
import signal
import socket
import struct

from stepnav.sandbox.codec import decode
from stepnav.sandbox.inside import batch_box, box
from stepnav.sandbox.inside.batch_state import State
from stepnav.sandbox.inside.watch import Child, Watch
from stepnav.sandbox.layers import confine, namespaces
from stepnav.sandbox.pipes import CHUNK, ClosedError, Pipes

JOB = struct.Struct("<ddQ?")
END = struct.Struct("<cid?")
MOST_LEAVING = 2**20
"""Bytes that wait for the trusted parent to read; beyond it a child is read no further."""

MOST_BATCHES = 64
"""A child is replaced after so many batches."""

MAX_DESCRIPTOR = 1024


class Server:
    """The loop of the warm parent.

    Args:
      level: a key of `confine.LAYERS`.
      pipes: the way to the trusted parent.
      caller: a descriptor of its process that tells its end; -1 if there is none.
      state: what batches compare themselves with.
    """

    def __init__(self, level: str, pipes: Pipes, caller: int, state: State) -> None:
        self.level = level
        self.pipes = pipes
        self.caller = caller
        self.state = state
        self.scratch = namespaces.scratch_state() if level == "namespace" else None
        self.filter = confine.seccomp_filter(level)
        confine.try_fork(level, self.filter)
        self.spare: Child
        self.kept: Child | None = None
        self.num_batches = 0

    def loop(self) -> None:
        """Serve jobs until the trusted parent goes away."""
        self._prepare()
        while True:
            while (message := self.pipes.take()) is None:
                self._exchange(None, {})
            kind, payload = message
            if kind == b"J":
                self.serve(payload)

    def send(self, kind: bytes, payload: bytes) -> None:
        """Put one message on its way to the trusted parent."""
        try:
            self.pipes.put(kind, payload)
        except ClosedError:
            os._exit(0)

    def _exchange(self, timeout_s: float | None, watched: dict[int, int]) -> dict[int, int]:
        """Send, receive and watch; this process ends here with the trusted parent."""
        if self.caller >= 0:
            watched[self.caller] = select.POLLIN
        try:
            ready = self.pipes.exchange(timeout_s, watched)
        except ClosedError:
            os._exit(0)
        if self.caller in ready:  # another process may hold our pipes open
            os._exit(0)
        return ready

    def fork(self) -> Child:
        """Return a new child."""
        ours, theirs = socket.socketpair()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become_child(ours, theirs, parent)
        theirs.close()
        ours.setblocking(False)
        return Child(pid, ours)

    def serve(self, payload: bytes) -> None:
        """Run one job in the spare child, or a batch in the kept one, and report its end."""
        cpu_s, wall_s, output_bytes, is_batch = JOB.unpack_from(payload)
        child = (self._take_kept() if is_batch else None) or self.spare
        watch = Watch(child, cpu_s, wall_s, output_bytes, is_batch)
        job = payload[JOB.size :]
        self._limit_cpu(watch, is_batch)
        waiting = bytearray(box.HEADER.pack(len(job)) + job)
        _write(child.channel, waiting)
        self.spare = self.fork() if self.spare is child else self.spare
        why = self._pump(watch, waiting)
        may_keep = is_batch and self.num_batches < MOST_BATCHES and not self._is_scratch_used()
        if why == b"f" and may_keep:
            self._keep(child, watch)
        else:
            self._end(child, why)

    def _prepare(self) -> None:
        self.spare = self.fork()  # as deep in the stack as in `serve`

    def _take_kept(self) -> Child | None:
        """Return the kept child; None if there is none, or it is not waiting for a batch."""
        child, self.kept = self.kept, None
        if child is not None and select.select([child.channel], [], [], 0)[0]:
            self._kill(child)  # it ended, or speaks without being asked
            child = None
        self.num_batches = 1 if child is None else self.num_batches + 1
        return child

    def _keep(self, child: Child, watch: Watch) -> None:
        self.kept = child
        self.send(b"E", END.pack(b"c", 0, watch.used() - watch.used_before, False))

    def _limit_cpu(self, watch: Watch, is_batch: bool) -> None:
        """Set the kernel's own limit, a little beyond the watched one."""
        if self.level == "unsafe":
            return
        limit = int(watch.used_before + watch.most_cpu_s) + 2
        kind = resource.RLIMIT_CPU
        with contextlib.suppress(ProcessLookupError):  # it died; sending to it will tell
            most = resource.prlimit(watch.child.pid, kind)[1]
            if most != resource.RLIM_INFINITY:
                limit = min(limit, most)
            # only a limit that may be raised again suits a child that may serve another batch
            resource.prlimit(watch.child.pid, kind, (limit, most if is_batch else limit))

    def _pump(self, watch: Watch, waiting: bytearray) -> bytes:
        """Carry bytes both ways until the child is done; return why it ended.

        Args:
          watch: its clocks.
          waiting: bytes on their way to it.
        """
        channel = watch.child.channel
        while True:
            events = select.POLLIN if self.pipes.num_leaving < MOST_LEAVING else 0
            events |= select.POLLOUT if waiting else 0
            watched = {channel.fileno(): events} if events else {}
            ready = self._exchange(watch.remaining_s(), watched).get(channel.fileno(), 0)
            while (message := self.pipes.take()) is not None:
                kind, payload = message
                if kind != b"D":
                    return kind.lower()
                waiting += payload
            if ready & select.POLLOUT:
                _write(channel, waiting)
            if ready & ~select.POLLOUT:
                data = _read(channel)
                if not data:
                    return b"c"
                if watch.count(len(data)):
                    return b"o"
                self.send(b"D", data)
            why = watch.overdue()
            if why is not None:
                return why

    def _end(self, child: Child, why: bytes) -> None:
        code, cpu_s = self._kill(child)
        if code in (-signal.SIGXCPU,):
            why = b"t"
        is_last = self._is_scratch_used()
        self.send(b"E", END.pack(why, code, cpu_s, is_last))
        while is_last:
            self._exchange(None, {})  # ends when it is read and closed

    def _is_scratch_used(self) -> bool:
        return self.scratch is not None and self.scratch != namespaces.scratch_state()

    def _kill(self, child: Child) -> tuple[int, float]:
        """End a child; return its exit code and CPU seconds."""
        child.channel.close()
        for kill in (os.killpg, os.kill):
            with contextlib.suppress(OSError):
                kill(child.pid, signal.SIGKILL)
        _, status, usage = os.wait4(child.pid, 0)
        return os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime

    def _become_child(self, ours: socket.socket, theirs: socket.socket, parent: int) -> None:
        """Confine this fork, serve one job or a few batches, and end; never returns."""
        try:
            confine.die_with(parent)
            os.setsid()
            channel = theirs.detach()
            ours.detach()
            os.closerange(3, channel)  # the pipes, and the channel of the child before
            os.closerange(channel + 1, MAX_DESCRIPTOR)
            confine.put_nothing_on(0, 1, 2)
            confine.confine_fork(self.level, self.filter)
            message = box.receive(channel)
            gc.enable()
            while message is not None:
                job = decode(message, max_depth=200)
                if job[0] != "batch":
                    box.run(channel, job)
                    break
                message = box.receive(channel) if batch_box.run(channel, job, self.state) else None
            os.close(channel)
        finally:
            os._exit(0)


def _write(channel: socket.socket, waiting: bytearray) -> None:
    """Send what can be sent at once, and remove it; all of it if nobody will read it any more."""
    try:
        while waiting:
            del waiting[: channel.send(waiting)]
    except BlockingIOError:
        return
    except OSError:
        waiting.clear()


def _read(channel: socket.socket) -> bytes:
    """Return what has arrived; empty at the end."""
    try:
        return channel.recv(CHUNK)
    except OSError:
        return b""
