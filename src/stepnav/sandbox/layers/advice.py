"""What to say when a layer of the sandbox is missing: its name, the errno, and the way out."""

from __future__ import annotations

import errno
import os

FIXES = {
    "namespaces": "allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1, "
    "user.max_user_namespaces above 0, and on Ubuntu "
    "kernel.apparmor_restrict_unprivileged_userns=0)",
    "landlock": "use a kernel from 5.13 on with CONFIG_SECURITY_LANDLOCK and landlock in its lsm= "
    "list",
    "seccomp": "use a kernel with CONFIG_SECCOMP_FILTER, on x86_64 or aarch64, and no outer filter "
    "that forbids seccomp(2)",
    "limits": "raise the hard limits (ulimit -H) of this process",
    "capabilities": "allow capset(2) and prctl(2) in this container",
    "no_new_privs": "allow prctl(2) in this container",
}


def layer_message(level: str, layer: str, number: int, text: str) -> str:
    """Return the one-line message for a missing layer."""
    code = errno.errorcode.get(number, str(number))
    reason = text or os.strerror(number)
    return (
        f"sandbox level {level!r} needs the layer {layer!r}, which this machine refuses ({code}: "
        f"{reason}); {FIXES.get(layer, 'see docs/sandbox.md')}, or name a weaker level on purpose: "
        f"{_weaker(level)}"
    )


def hole_message(level: str, attempt: str, layer: str) -> str:
    """Return the one-line message for a forbidden attempt that succeeded."""
    return (
        f"sandbox level {level!r} has a hole here: the attempt {attempt!r} succeeded (no errno), "
        f"so the layer {layer!r} does not work; {FIXES[layer]}, or name a weaker level on purpose: "
        f"{_weaker(level)}"
    )


def _weaker(level: str) -> str:
    return "process, docker or unsafe" if level == "namespace" else "docker or unsafe"
