"""Raw Linux system calls over ctypes, and their numbers on x86_64 and aarch64.

The standard library has no binding for Landlock, seccomp, capset or unshare. The numbers are those
of the kernel's `unistd_64.h` (x86_64) and `asm-generic/unistd.h` (aarch64).
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys

MACHINE = platform.machine()

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47

LANDLOCK_CREATE_RULESET, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF = 444, 445, 446
CAPSET = {"x86_64": 126, "aarch64": 91}.get(MACHINE, -1)
SECCOMP = {"x86_64": 317, "aarch64": 277}.get(MACHINE, -1)

is_linux = sys.platform.startswith("linux")
_libc = ctypes.CDLL(None, use_errno=True) if is_linux else None


def call(number: int, *arguments: object) -> int:
    """Return the result of a system call.

    Raises:
      OSError: it failed, with its errno.
    """
    assert _libc is not None, "system calls are made on Linux only"
    wide = [ctypes.c_long(item) if isinstance(item, int) else item for item in arguments]
    return _checked(_libc.syscall(ctypes.c_long(number), *wide))


def prctl(option: int, *arguments: int) -> int:
    """Return the result of the system call prctl.

    Raises:
      OSError: it failed, with its errno.
    """
    assert _libc is not None, "system calls are made on Linux only"
    wide = [ctypes.c_ulong(item) for item in (*arguments, 0, 0, 0, 0)[:4]]
    return _checked(_libc.prctl(ctypes.c_int(option), *wide))


def unshare(flags: int) -> None:
    """Move this process into new namespaces.

    Raises:
      OSError: the kernel or its settings do not allow it.
    """
    assert _libc is not None, "system calls are made on Linux only"
    _checked(_libc.unshare(ctypes.c_int(flags)))


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    """Mount a file system.

    Raises:
      OSError: it failed, with its errno.
    """
    assert _libc is not None, "system calls are made on Linux only"
    _checked(
        _libc.mount(
            source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode()
        ),
        target,
    )


def _checked(result: int, path: str | None = None) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return result
