"""Results of the recipe's stages on disk, read with one clear line for what is broken."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stepnav.core.errors import ConfigError, DataError, StepnavError, one_line
from stepnav.files.atomic import whole_folder

COMPUTE_NAME = "compute.json"


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn whatever goes wrong while a stage's result is read into one clear line.

    Raises:
      DataError: it is broken.
    """
    try:
        yield
    except StepnavError:
        raise
    except Exception as error:  # each library has kinds of its own
        raise DataError(
            f"{path} is broken ({one_line(error)}); delete it, and --resume makes it again"
        ) from error


def write_compute(folder: Path, *, tokens: int, seconds: float) -> None:
    """Write down what a training stage took, for the model cards."""
    (folder / COMPUTE_NAME).write_text(json.dumps({"tokens": tokens, "seconds": seconds}))


def copy_folder(source: Path, target: Path) -> None:
    """Copy a model folder, whole or not at all; keep it if it is there.

    Raises:
      ConfigError: there is no source.
    """
    if not source.exists():
        raise ConfigError(
            f"{source} is missing, so there is no policy; set policy_tokens to a multiple of "
            "snapshot_tokens"
        )
    if not target.exists():
        with whole_folder(target) as place:
            shutil.copytree(source, place, dirs_exist_ok=True)
