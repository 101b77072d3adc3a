"""Landlock: the process and all its children may read some folders and write none.

Written over ctypes: of the libraries on PyPI, `py-landlock` 0.1.1 is a single early release and
`sandlock` wants to own the process. Three system calls do it (landlock(7)); a kernel's ABI says
which rights it knows, and only those may be named.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable

from stepnav.sandbox.layers import syscalls

_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1
_WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
_ALL_BY_ABI = {1: 13, 2: 14, 3: 15, 5: 16}
"""ABI -> number of file system rights known from that ABI on."""

_NET_FROM_ABI, _NET_RIGHTS = 4, 0b11
_SCOPE_FROM_ABI, _SCOPES = 6, 0b11


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def abi() -> int:
    """Return the kernel's Landlock ABI.

    Raises:
      OSError: ENOSYS if the kernel has none, EOPNOTSUPP if it is switched off.
    """
    return syscalls.call(syscalls.LANDLOCK_CREATE_RULESET, 0, 0, _CREATE_RULESET_VERSION)


def restrict(
    readable: Iterable[str],
    *,
    listable: Iterable[str] = (),
    nothing: str = os.devnull,
    writable: Iterable[str] = (),
) -> int:
    """Restrict this process for good; return the ABI used. Needs no_new_privs.

    Args:
      readable: files and folders that may be read; those that do not exist are left out.
      listable: folders whose names may be read, and those of the folders in them.
      nothing: a device that may be read and written.
      writable: folders where files may also be made, written and removed.

    Raises:
      OSError: the kernel has no Landlock, or refused a rule.
    """
    version = abi()
    rights = (1 << _ALL_BY_ABI[max(known for known in _ALL_BY_ABI if known <= version)]) - 1
    ruleset = _create(version, rights)
    try:
        for path in readable:
            _allow(ruleset, path, _READ_FILE | _READ_DIR)
        for path in listable:
            _allow(ruleset, path, _READ_DIR)
        _allow(ruleset, nothing, _READ_FILE | _WRITE_FILE)
        for path in writable:
            _allow(ruleset, path, rights & ~1)  # all but execute
        syscalls.call(syscalls.LANDLOCK_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return version


def _create(version: int, rights: int) -> int:
    attributes = _Ruleset(
        rights,
        _NET_RIGHTS if version >= _NET_FROM_ABI else 0,
        _SCOPES if version >= _SCOPE_FROM_ABI else 0,
    )
    size = 24 if version >= _SCOPE_FROM_ABI else 16 if version >= _NET_FROM_ABI else 8
    return syscalls.call(syscalls.LANDLOCK_CREATE_RULESET, ctypes.byref(attributes), size, 0)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not os.path.isdir(path):
            rights &= ~_READ_DIR
        rule = _PathBeneath(rights, parent)
        syscalls.call(
            syscalls.LANDLOCK_ADD_RULE, ruleset, _RULE_PATH_BENEATH, ctypes.byref(rule), 0
        )
    finally:
        os.close(parent)
