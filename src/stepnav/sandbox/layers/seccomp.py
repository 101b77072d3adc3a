"""A seccomp allow-list: every system call that plain computing Python does not need is refused.

Written over ctypes: `pyseccomp`, the one maintained binding on PyPI, needs the system library
libseccomp, and the box starts without site-packages. The filter is a list of classic BPF
instructions (seccomp(2)). A refused call returns EPERM, so that a program sees an ordinary
`PermissionError`; calls that the C library replaces by older ones return ENOSYS; a foreign
architecture ends the process.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterable, Mapping

from stepnav.sandbox.layers import syscalls

Instruction = tuple[int, int, int, int]
"""Operation, jump if true, jump if false, constant."""

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32_BIT = 0x40000000
_KILL, _ERRNO, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = 0, 4, 16
_SET_MODE_FILTER = 1

ALLOWED: Mapping[str, tuple[int | None, int | None]] = {
    # name: number on x86_64, number on aarch64; the frequent ones first
    "read": (0, 63), "write": (1, 64), "mmap": (9, 222), "munmap": (11, 215), "brk": (12, 214),
    "futex": (202, 98), "mremap": (25, 216), "madvise": (28, 233),
    "mprotect": (10, 226), "close": (3, 57), "fstat": (5, 80), "newfstatat": (262, 79),
    "lseek": (8, 62), "pread64": (17, 67), "readv": (19, 65), "writev": (20, 66),
    "getdents64": (217, 61), "stat": (4, None), "lstat": (6, None), "access": (21, None),
    "faccessat": (269, 48), "faccessat2": (439, 439), "statx": (332, 291),
    "readlink": (89, None), "readlinkat": (267, 78), "getcwd": (79, 17),
    "dup": (32, 23), "dup2": (33, None), "dup3": (292, 24),
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139),
    "rt_sigpending": (127, 136), "sigaltstack": (131, 132), "restart_syscall": (219, 128),
    "getpid": (39, 172), "getppid": (110, 173), "gettid": (186, 178), "getpgrp": (111, None),
    "getuid": (102, 174), "geteuid": (107, 175), "getgid": (104, 176), "getegid": (108, 177),
    "nanosleep": (35, 101),
    "gettimeofday": (96, 169), "time": (201, None), "times": (100, 153),
    "getrusage": (98, 165), "getrlimit": (97, 163), "setitimer": (38, 103),
    "getitimer": (36, 102), "alarm": (37, None), "getrandom": (318, 278),
    "sched_yield": (24, 124), "uname": (63, 160),
    "poll": (7, None), "ppoll": (271, 73), "select": (23, None), "pselect6": (270, 72),
    "exit": (60, 93), "exit_group": (231, 94), "rseq": (334, 293), "membarrier": (324, 283),
    "set_robust_list": (273, 99), "set_tid_address": (218, 96),
}  # fmt: skip
"""Allowed whatever the arguments."""

CLOCKS: Mapping[str, tuple[int | None, int | None]] = {
    "clock_gettime": (228, 113), "clock_getres": (229, 114), "clock_nanosleep": (230, 115),
}  # fmt: skip
"""Allowed for the clocks of the machine and of the process; others tell of other processes."""

OF_ITSELF: Mapping[str, tuple[int | None, int | None]] = {"sched_getaffinity": (204, 123)}
"""Allowed for process 0, which means the process itself."""

WRITING: Mapping[str, tuple[int | None, int | None]] = {
    "mkdir": (83, None), "mkdirat": (258, 34), "rmdir": (84, None), "unlink": (87, None),
    "unlinkat": (263, 35), "rename": (82, None), "renameat": (264, 38), "renameat2": (316, 276),
    "ftruncate": (77, 46),
}  # fmt: skip
"""Allowed as well where there is a scratch folder."""

NOT_THERE: Mapping[str, tuple[int | None, int | None]] = {
    "clone3": (435, 435), "openat2": (437, 437),
}  # fmt: skip
"""Answered with ENOSYS, so that the C library falls back to a call that can be checked."""

_OPEN, _OPENAT = (2, None), (257, 56)
_FCNTL, _IOCTL, _PRLIMIT = (72, 25), (16, 29), (302, 261)
_FCNTL_COMMANDS = (0, 1, 2, 3, 4, 1030)  # dup, get and set flags; no owner, no signal, no lease
_IOCTL_REQUESTS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)  # ask a terminal, set flags
_FIRST_FOREIGN_CLOCK = 16
_WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def program(*, can_write: bool = False, machine: str = syscalls.MACHINE) -> list[Instruction]:
    """Return the filter for a machine.

    Args:
      can_write: whether files may be opened for writing (where, Landlock says).
      machine: "x86_64" or "aarch64".

    Raises:
      OSError: ENOTSUP for any other machine.
    """
    if machine not in _AUDIT_ARCH:
        raise OSError(errno.ENOTSUP, f"no list of system calls for {machine}")
    at = 0 if machine == "x86_64" else 1
    numbers = [row[at] for row in (*ALLOWED.values(), *(WRITING.values() if can_write else ()))]
    out = _prologue(machine)
    for number in numbers:
        out += _if_number(number, [(_RETURN, 0, 0, _ALLOW)])
    forbidden = 0 if can_write else _WRITE_FLAGS
    for row in CLOCKS.values():
        out += _if_number(row[at], _if_below(0, _FIRST_FOREIGN_CLOCK))
    for row in OF_ITSELF.values():
        out += _if_number(row[at], _if_among(0, [0]))
    out += _if_number(_OPEN[at], _unless_bits(1, forbidden))
    out += _if_number(_OPENAT[at], _unless_bits(2, forbidden))
    out += _if_number(_FCNTL[at], _if_among(1, _FCNTL_COMMANDS))
    out += _if_number(_IOCTL[at], _if_among(1, _IOCTL_REQUESTS))
    out += _if_number(_PRLIMIT[at], [*_unless_bits(0, 0xFFFFFFFF)[:3], *_if_null(2)])
    for row in NOT_THERE.values():
        out += _if_number(row[at], [(_RETURN, 0, 0, _ERRNO | errno.ENOSYS)])
    return [*out, (_RETURN, 0, 0, _ERRNO | errno.EPERM)]


def _prologue(machine: str) -> list[Instruction]:
    return [
        (_LOAD, 0, 0, _ARCH_AT),
        (_JUMP_EQUAL, 1, 0, _AUDIT_ARCH[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_JUMP_AT_LEAST, 0, 1, _X32_BIT),
        (_RETURN, 0, 0, _KILL),
    ]


def _if_number(number: int | None, then: list[Instruction]) -> list[Instruction]:
    """Return instructions that run `then`, which returns, for one system call."""
    return [] if number is None else [(_JUMP_EQUAL, 0, len(then), number), *then]


def _unless_bits(argument: int, bits: int) -> list[Instruction]:
    return [
        (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * argument),
        (_JUMP_ANY_BIT, 0, 1, bits),
        (_RETURN, 0, 0, _ERRNO | errno.EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]


def _if_below(argument: int, value: int) -> list[Instruction]:
    return [
        (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * argument),
        (_JUMP_AT_LEAST, 0, 1, value),
        (_RETURN, 0, 0, _ERRNO | errno.EINVAL),
        (_RETURN, 0, 0, _ALLOW),
    ]


def _if_among(argument: int, values: Iterable[int]) -> list[Instruction]:
    out: list[Instruction] = [(_LOAD, 0, 0, _ARGUMENTS_AT + 8 * argument)]
    for value in values:
        out += [(_JUMP_EQUAL, 0, 1, value), (_RETURN, 0, 0, _ALLOW)]
    return [*out, (_RETURN, 0, 0, _ERRNO | errno.EPERM)]


def _if_null(argument: int) -> list[Instruction]:
    return [
        (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * argument),
        (_JUMP_EQUAL, 0, 3, 0),
        (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * argument + 4),
        (_JUMP_EQUAL, 0, 1, 0),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _ERRNO | errno.EPERM),
    ]


class _Filter(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


class Filter:
    """A filter ready to be installed: built once, installed in every fork."""

    def __init__(self, instructions: list[Instruction]) -> None:
        packed = b"".join(struct.pack("=HBBI", *item) for item in instructions)
        self._buffer = ctypes.create_string_buffer(packed, len(packed))
        self._filter = _Filter(len(instructions), ctypes.addressof(self._buffer))

    def install(self) -> None:
        """Filter this process for good. Needs no_new_privs.

        Raises:
          OSError: the kernel refused it.
        """
        syscalls.call(syscalls.SECCOMP, _SET_MODE_FILTER, 0, ctypes.byref(self._filter))
