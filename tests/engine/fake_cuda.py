"""CUDA without a GPU: torch's fake tensors on "cuda", and a count of what makes the CPU wait.

Fake tensors have shapes, types and devices and no numbers. torch refuses what a GPU would refuse:
tensors of two devices in one operation. A CPU build of torch lacks the device guard that its
indexing asks for, so one that does nothing is compiled and registered.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch._subclasses import FakeTensor, FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

_GUARD = """
#include <c10/core/impl/DeviceGuardImplInterface.h>
C10_REGISTER_GUARD_IMPL(CUDA, c10::impl::NoOpDeviceGuardImpl<c10::DeviceType::CUDA>)
"""

_READS = {
    torch.Tensor.item: 0,
    torch.Tensor.__float__: 0.0,
    torch.Tensor.__int__: 0,
    torch.Tensor.__index__: 0,
    torch.Tensor.__bool__: False,
}
"""What reads numbers, and what is read of fake ones."""


@lru_cache(maxsize=1)
def register_guard(folder: Path) -> None:
    """Make indexing of fake CUDA tensors possible in a CPU build of torch."""
    compiler = shutil.which("g++")
    if torch.backends.cuda.is_built():
        return
    if compiler is None:
        pytest.skip("g++ is absent, which compiles a device guard for a CPU build of torch")
    source, library = folder / "guard.cpp", folder / "guard.so"
    source.write_text(_GUARD)
    home = Path(torch.__file__).parent
    command = [compiler, "-std=c++20", "-fPIC", "-shared", source, "-o", library]
    subprocess.run(
        [*map(str, command), f"-I{home / 'include'}", f"-L{home / 'lib'}", "-lc10"], check=True
    )
    ctypes.CDLL(str(library))


class Waits:
    """What made the CPU wait for the GPU, by name."""

    def __init__(self) -> None:
        self.names: list[str] = []


class _Reads(TorchFunctionMode):  # type: ignore[misc]
    """Answers reads of fake numbers by zeros, and counts them."""

    def __init__(self, waits: Waits) -> None:
        super().__init__()
        self._waits = waits

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _READS and args[0].device.type != "cpu":
            self._waits.names.append(func.__name__)
        return _READS[func] if func in _READS else func(*args, **(kwargs or {}))


class _Copies(TorchDispatchMode):  # type: ignore[misc]
    """Counts copies between devices that are waited for."""

    def __init__(self, waits: Waits) -> None:
        super().__init__()
        self._waits = waits

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        found = func(*args, **kwargs)
        name = func.overloadpacket.__name__
        if name in ("_to_copy", "to", "copy_"):
            source = args[1] if name == "copy_" else args[0]
            at = [item.name for item in func._schema.arguments].index("non_blocking")
            is_free = kwargs.get("non_blocking") or any(args[at : at + 1])
            if source.device.type != found.device.type and not is_free:
                self._waits.names.append(f"{name} {source.device.type} to {found.device.type}")
        elif name in ("index", "index_put_", "index_put", "_index_put_impl_"):
            indices = [item for item in args[1] if item is not None]
            if any(item.device != args[0].device for item in indices):
                self._waits.names.append(f"{name} by numbers of the CPU")
            if any(item.dtype == torch.bool for item in indices):
                self._waits.names.append(f"{name} by a mask")
        elif name in ("nonzero", "masked_select", "unique_dim", "_unique2"):
            self._waits.names.append(name)
        return found


def _zeros(shape: Sequence[int], zero: float) -> Any:
    return [_zeros(shape[1:], zero) for _ in range(shape[0])] if shape else zero


@contextmanager
def fake_cuda() -> Iterator[Waits]:
    """Run tensors as fake ones; those made on "cuda" are refused beside those of the CPU."""
    waits = Waits()

    def tolist(tensor: Any) -> Any:  # a fake tensor's own reads its numbers one by one
        if tensor.device.type != "cpu":
            waits.names.append("tolist")
        return _zeros(tensor.shape, 0.0 if tensor.is_floating_point() else 0)

    with ExitStack() as stack:
        stack.enter_context(patch.object(FakeTensor, "tolist", tolist))
        stack.enter_context(FakeTensorMode())
        stack.enter_context(_Copies(waits))
        stack.enter_context(_Reads(waits))
        yield waits
