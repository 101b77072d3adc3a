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
from collections.abc import Callable, Iterable

from stepnav.sandbox.layers import landlock, namespaces, seccomp, syscalls

_LAST_CAPABILITY = 63
_CAPABILITY_VERSION = 0x20080522
LIBRARY_FOLDERS = ("/lib", "/lib64", "/usr/lib", "/usr/lib64")
OTHER_READABLE = ("/dev/null", "/dev/urandom", "/usr/share/zoneinfo", "/etc/localtime")

LAYERS = {
    "process": ("limits", "capabilities", "no_new_privs", "landlock", "seccomp"),
    "namespace": ("limits", "namespaces", "capabilities", "no_new_privs", "landlock", "seccomp"),
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


def library_folders() -> list[str]:
    """Return the folders in which Python's library and the shared libraries lie, without links."""
    return sorted(set(map(os.path.realpath, _spelled_folders())))


def _spelled_folders() -> list[str]:
    paths = sysconfig.get_paths()
    folders = [paths["stdlib"], paths["platstdlib"], sysconfig.get_config_var("LIBDIR")]
    return [*filter(None, folders), *LIBRARY_FOLDERS]


def readable(folders: Iterable[str], package: str) -> tuple[list[str], list[str]]:
    """Return what may be read, with all that lies in it, and which folders may be listed.

    What a rule allows in a folder cannot be taken back further down. So a folder that holds
    site-packages, this package or its parents is not allowed itself, but each of its other entries.
    """
    whole: dict[str, None] = dict.fromkeys(OTHER_READABLE)
    listed: dict[str, None] = {}
    tops = set(folders)
    todo = [*tops]
    for folder in todo:
        may_hold = folder in tops or os.path.basename(folder).startswith("python")
        is_above = (package + os.sep).startswith(folder + os.sep)
        if not is_above and not (may_hold and _holds_packages(folder)):
            whole[folder] = None
        elif folder not in listed:
            listed[folder] = None
            entries = [os.path.join(folder, name) for name in os.listdir(folder)]
            todo += [
                path for path in entries
                if path != package and not _is_packages(path) and not os.path.islink(path)
            ]  # fmt: skip
    return list(whole), list(listed)


def _is_packages(path: str) -> bool:
    return os.path.basename(path) in ("site-packages", "dist-packages")


def _holds_packages(folder: str) -> bool:
    """Return whether installed packages lie in a folder, or in one of its folders for a Python."""
    try:
        names = os.listdir(folder)
    except OSError:  # a file, or none
        return False
    pythons = [os.path.join(folder, name) for name in names if name.startswith("python")]
    return any(map(_is_packages, names)) or any(map(_holds_packages, pythons))


def confine_parent(level: str, limits: dict[str, float], package: str) -> None:
    """Put on what all forks of this warm parent share.

    Args:
      level: a key of `LAYERS`.
      limits: the fields of `Limits`.
      package: the folder of this package, which no program may read.

    Raises:
      LayerError: the kernel refused one; nothing untrusted has run.
    """
    steps: dict[str, Callable[[], object]] = {
        "namespaces": lambda: namespaces.enter(
            int(limits["scratch_bytes"]), [*library_folders(), *_spelled_folders(), *OTHER_READABLE]
        ),
        "limits": lambda: _limit(level, limits),
        "capabilities": _drop_capabilities,
        "no_new_privs": lambda: syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1),
        "landlock": lambda: _restrict_files(level, package),
    }
    for layer in LAYERS[level]:
        if layer in steps:
            with _named(layer):
                steps[layer]()


def put_nothing_on(*descriptors: int) -> None:
    """Open nothing anew: flags of a shared opening would pass from candidate to candidate."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in descriptors:
        os.dup2(nothing, descriptor)
    os.close(nothing)


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


def try_fork(level: str, system_calls: seccomp.Filter | None) -> None:
    """Put the last layers on a fork that ends at once, so that a missing one is named, not met.

    Raises:
      LayerError: the kernel refused one.
    """
    source, sink = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            confine_fork(level, system_calls)
        except LayerError as error:
            text = f"{error.layer} {error.cause.errno or 0} {error.cause.strerror}"
            os.write(sink, text.encode())
        finally:
            os._exit(0)
    os.close(sink)
    with open(source, "rb") as file:
        said = file.read().decode()
    os.waitpid(pid, 0)
    if said:
        layer, number, reason = said.split(" ", 2)
        raise LayerError(layer, OSError(int(number), reason))


def confine_fork(level: str, system_calls: seccomp.Filter | None) -> None:
    """Put the last layers on this fork, just before it may run a program.

    Raises:
      LayerError: the kernel refused one.
    """
    layer = "limits"
    try:
        if layer in LAYERS[level]:
            resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
        layer = "seccomp"
        if system_calls is not None:
            system_calls.install()
    except (OSError, ValueError) as error:
        raise _refusal(layer, error) from None


def _restrict_files(level: str, package: str) -> None:
    files, listed = readable(library_folders(), package)
    writable = [namespaces.SCRATCH] if level == "namespace" else []
    landlock.restrict(files, listable=listed, writable=writable)


@contextlib.contextmanager
def _named(layer: str):  # type: ignore[no-untyped-def]
    try:
        yield
    except (OSError, ValueError) as error:
        raise _refusal(layer, error) from None


def _refusal(layer: str, error: OSError | ValueError) -> LayerError:
    """Return the error of a layer; `setrlimit` says `ValueError` where it is not allowed."""
    return LayerError(layer, error if isinstance(error, OSError) else OSError(1, str(error)))


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
