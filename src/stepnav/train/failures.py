"""What ends a training, as errors of ours that say how to go on."""

from __future__ import annotations

import errno
from pathlib import Path

from stepnav.core.errors import ConfigError, DataError, StepnavError, one_line

DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS})


def diverged(what: str, step: int) -> DataError:
    """Return the error of a training in which something has become NaN or infinite."""
    return DataError(
        f"{what} at step {step}; what was saved of earlier steps is kept: train again in another "
        "--out with a lower --learning-rate, or check the data with: stepnav data inspect FILE"
    )


def explained(error: Exception, out: Path, checkpoint: Path | None) -> StepnavError | None:
    """Return an error of the Trainer as one of ours, None if the user can do nothing about it.

    Args:
      error: what it raised.
      out: folder of the training.
      checkpoint: what was being read; None once training goes on.
    """
    text = one_line(error)
    if "out of memory" in text.lower() or "can't allocate memory" in text.lower():
        return ConfigError(
            f"{text}; lower --batch-size and raise --accumulate as much, lower --max-length, or "
            "set --gradient-checkpointing"
        )
    if checkpoint is not None:
        return DataError(f"{checkpoint} is broken ({text}); remove it, then go on with --resume")
    is_full = isinstance(error, OSError) and error.errno in DISK_ERRORS
    # the last is what torch says at the end of a file of which not all was written
    words = ("No space left", "File too large", "PytorchStreamWriter", "unexpected pos")
    if is_full or any(word in text for word in words):
        return DataError(
            f"cannot write to {out} ({text}); free some space, then go on with --resume"
        )
    return None
