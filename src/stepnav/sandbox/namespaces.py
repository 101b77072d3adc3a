"""Linux namespaces for level "namespace": set up once per warm parent, shared by its forks.

The warm parent enters new user, mount, network, IPC, UTS and pid namespaces, makes the file system
read-only except a small tmpfs at /tmp, and becomes process 1 of its own pid namespace: when it ends,
the kernel ends everything in there.
"""

from __future__ import annotations

import os
import signal
import sys

from stepnav.sandbox import syscalls

SCRATCH = "/tmp"

_NEWNS, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = (
    0x00020000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000,
)  # fmt: skip
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 1, 2, 4, 8
_MS_REC, _MS_PRIVATE = 16384, 1 << 18


def enter(scratch_bytes: int) -> None:
    """Move this process into its own namespaces; it continues as their process 1.

    The calling process stays outside as a shell that waits, and ends as the inner one does.

    Raises:
      OSError: user namespaces are switched off, or a mount was refused.
    """
    user, group = os.geteuid(), os.getegid()
    syscalls.unshare(_NEWUSER | _NEWNS | _NEWPID | _NEWNET | _NEWIPC | _NEWUTS)
    _map_ids(user, group)
    inner = os.fork()
    if inner:
        _wait_for(inner)
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)  # die with the outer process
    syscalls.mount("none", "/", "", _MS_REC | _MS_PRIVATE)
    syscalls.mount(
        "tmpfs", SCRATCH, "tmpfs", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC,
        f"size={scratch_bytes},nr_inodes=1024,mode=1777",
    )  # fmt: skip


def _map_ids(user: int, group: int) -> None:
    for name, text in (
        ("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1"),
    ):  # fmt: skip
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


def _wait_for(inner: int) -> None:
    os.closerange(0, 1024)
    _, status = os.waitpid(inner, 0)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


assert sys.version_info >= (3, 10), "stepnav needs Python 3.10"
