"""Results of the recipe's stages on disk: written whole or not at all, and read with one clear line for what is broken."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stepnav.core.errors import DataError, StepnavError, quote

COMPUTE_NAME = "compute.json"


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Give a new, empty folder to write to, and put it in the place of `folder` when it is filled.

    What a killed run left of an earlier attempt is thrown away, and so is an older folder of the same name.

    Raises:
      DataError: it cannot be written; `folder` is as it was.
    """
    partial = folder.with_name(folder.name + ".partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        yield partial
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(partial, folder)
    except StepnavError:
        raise
    except Exception as error:  # safetensors has kinds of its own
        raise DataError(
            f"cannot write {folder} ({one_line(error)}); free some space, then go on with --resume"
        ) from error


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


def one_line(error: Exception) -> str:
    """Return an error's kind and text as one line that is not too long."""
    return f"{type(error).__name__}: {quote(' '.join(str(error).split()))}"
