"""Linux namespaces for level "namespace": set up once per warm parent, shared by its forks.

The warm parent enters new user, mount, network, IPC, UTS and pid namespaces and becomes process 1
of its own pid namespace: when it ends, the kernel ends everything in there. Its file system holds
Python's library and the shared libraries, read-only (so that not even access times tell of earlier
reading), and a small tmpfs at /tmp; of the machine's other files and processes there is no name in
it.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable

from stepnav.sandbox.layers import syscalls

SCRATCH = "/tmp"

_NEWNS, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = (
    0x00020000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000,
)  # fmt: skip
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REMOUNT, _MS_NOATIME = 1, 2, 4, 8, 32, 1024
_MS_BIND, _MS_REC, _MS_PRIVATE = 4096, 16384, 1 << 18
_MOUNT = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC | _MS_NOATIME
_KEPT = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
"""Flags of a mount that may not be taken off when it is mounted again."""


def enter(scratch_bytes: int, paths: Iterable[str]) -> None:
    """Move this process into its own namespaces; it continues as their process 1.

    The calling process stays outside as a shell that waits, and ends as the inner one does.

    Args:
      scratch_bytes: size of /tmp.
      paths: files and folders that stay there; those that do not exist are left out.

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
    root = SCRATCH  # mounted over, it is as good a place as any
    syscalls.mount("tmpfs", root, "tmpfs", _MOUNT, "size=1m,nr_inodes=1024,mode=755")
    for path in sorted(set(map(os.path.realpath, paths))):
        _show(path, root + path)
    for path in paths:
        if not os.path.lexists(root + path) and os.path.exists(path):  # spelled by way of links
            os.makedirs(os.path.dirname(root + path), exist_ok=True)
            os.symlink(os.path.realpath(path), root + path)
    os.mkdir(root + SCRATCH)
    options = f"size={scratch_bytes},nr_inodes=1024,mode=1777"
    syscalls.mount("tmpfs", root + SCRATCH, "tmpfs", _MOUNT, options)
    os.chroot(root)
    os.chdir("/")


def scratch_state() -> tuple[int, ...]:
    """Return what changes as soon as anything is made in /tmp, though it be removed again."""
    found = os.stat(SCRATCH)
    return found.st_mtime_ns, found.st_ctime_ns, found.st_nlink, found.st_mode


def _show(path: str, target: str) -> None:
    """Let a file or folder be seen, read-only, at a place beneath the new root."""
    if os.path.lexists(target) or not os.path.exists(path):  # it lies in one that is there
        return
    if os.path.isdir(path):
        os.makedirs(target)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY))
    syscalls.mount(path, target, "", _MS_BIND | _MS_REC)
    kept = os.statvfs(target).f_flag & _KEPT
    syscalls.mount("", target, "", _MS_BIND | _MS_REMOUNT | _MS_RDONLY | kept)


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


assert sys.version_info >= (3, 11), "stepnav needs Python 3.11"
