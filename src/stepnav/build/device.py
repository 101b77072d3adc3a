"""Where models in this process can be put."""

from __future__ import annotations

import re
from importlib.util import find_spec

from stepnav.core.errors import ConfigError, choose

DTYPES = ("float32", "bfloat16", "float16")


def check_device(device: str, dtype: str = "float32") -> None:
    """Refuse a device that no model could be put on, or a data type that none is read as.

    Raises:
      ConfigError: it has another name, or there is no CUDA device here.
    """
    choose("--dtype", dtype, DTYPES)
    if re.fullmatch(r"auto|cpu|cuda(:\d+)?", device) is None:
        raise ConfigError(f"the device must be cpu, cuda, cuda:NUMBER or auto (got {device!r})")
    if device.startswith("cuda") and find_spec("torch") is not None:
        import torch

        if not torch.cuda.is_available():
            raise ConfigError("there is no CUDA device that torch can use; leave --device out")
