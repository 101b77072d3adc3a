"""The layers of the box, put on in the warm parent (once) and in each fork.

What a fork inherits is put on once, in the warm parent: namespaces, no capabilities, no_new_privs,
Landlock, most limits. Only what the warm parent itself could not live with is put on in the fork:
the seccomp filter and the limit on processes.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sysconfig
from collections.abc import Callable

from stepnav.sandbox import landlock, namespaces, seccomp, syscalls

_LAST_CAPABILITY = 63
_CAPABILITY_VERSION = 0x20080522
LIBRARY_FOLDERS = ("/lib", "/lib64", "/usr/lib", "/usr/lib64")
OTHER_READABLE = ("/dev/null", "/dev/urandom", "/usr/share/zoneinfo", "/etc/localtime")

LAYERS = {
    "process": ("limits", "capabilities", "no_new_privs", "landlock", "seccomp"),
    "namespace": ("namespaces", "limits", "capabilities", "no_new_privs", "landlock", "seccomp"),
    "docker": ("limits", "no_new_privs", "seccomp"),
    "unsafe": (),
}
"""Level -> its layers, in the order in which they are put on."""


class LayerError(Exception):
    """A layer could not be put on.

    Args:
      layer: its name in `LAYERS`.
      cause: what the kernel answered.
    """

    def __init__(self, layer: str, cause: OSError) -> None:
        super().__init__(layer, cause.errno, cause.strerror)
        self.layer = layer
        self.cause = cause


def readable_folders() -> list[str]:
    """Return what Python needs to read: its standard library and the shared libraries."""
    paths = sysconfig.get_paths()
    folders = [paths["stdlib"], paths["platstdlib"], sysconfig.get_config_var("LIBDIR") or ""]
    stdlib = [os.path.realpath(folder) for folder in folders if folder]
    return [*stdlib, *LIBRARY_FOLDERS, *OTHER_READABLE]


def confine_parent(level: str, limits: dict[str, float]) -> None:
    """Put on what all forks of this warm parent share.

    Raises:
      LayerError: the kernel refused one; nothing untrusted has run.
    """
    steps: dict[str, Callable[[], object]] = {
        "namespaces": lambda: namespaces.enter(int(limits["scratch_bytes"])),
        "limits": lambda: _limit(level, limits),
        "capabilities": _drop_capabilities,
        "no_new_privs": lambda: syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1),
        "landlock": lambda: landlock.restrict(
            readable_folders(), writable=[namespaces.SCRATCH] if level == "namespace" else []
        ),
    }
    for layer in LAYERS[level]:
        if layer in steps:
            with _named(layer):
                steps[layer]()


def die_with(parent: int) -> None:
    """Let the kernel end this process when its parent ends, however that happens."""
    if syscalls.is_linux:
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before
        os._exit(0)


def seccomp_filter(level: str) -> seccomp.Filter | None:
    """Return the filter that every fork of a level installs; None if the level has none.

    Raises:
      LayerError: there is none for this machine.
    """
    if "seccomp" not in LAYERS[level]:
        return None
    with _named("seccomp"):
        return seccomp.Filter(seccomp.program(can_write=level == "namespace"))


def confine_fork(level: str, system_calls: seccomp.Filter | None) -> None:
    """Put the last layers on this fork, just before it may run a program.

    Raises:
      LayerError: the kernel refused one.
    """
    if "limits" in LAYERS[level]:
        with _named("limits"):
            resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    if system_calls is not None:
        with _named("seccomp"):
            system_calls.install()


@contextlib.contextmanager
def _named(layer: str):  # type: ignore[no-untyped-def]
    try:
        yield
    except OSError as error:
        raise LayerError(layer, error) from None
    except ValueError as error:  # setrlimit's word for "not allowed"
        raise LayerError(layer, OSError(1, str(error))) from None


def _limit(level: str, limits: dict[str, float]) -> None:
    written = int(limits["scratch_bytes"]) if level == "namespace" else 0
    own = _address_space()
    for kind, value in (
        (resource.RLIMIT_AS, own + int(limits["memory_bytes"])),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, written),
        (resource.RLIMIT_NOFILE, int(limits["open_files"])),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        resource.setrlimit(kind, (value, value))


def _address_space() -> int:
    """Return the bytes of address space in use."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[0]) * resource.getpagesize()


def _drop_capabilities() -> None:
    """Give up all capabilities for good; nothing to do for an ordinary user."""
    for capability in range(_LAST_CAPABILITY + 1):
        with contextlib.suppress(OSError):  # beyond the kernel's last, or not ours to drop
            syscalls.prctl(syscalls.PR_CAPBSET_DROP, capability)
    with contextlib.suppress(OSError):
        syscalls.prctl(syscalls.PR_CAP_AMBIENT, 4)  # clear all
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    data = (ctypes.c_uint32 * 6)()
    syscalls.call(syscalls.CAPSET, ctypes.byref(header), ctypes.byref(data))
