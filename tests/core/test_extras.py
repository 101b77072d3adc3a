from __future__ import annotations

import pytest

from stepnav.core.errors import ConfigError
from stepnav.core.extras import importing


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (
            ModuleNotFoundError("No module named 'torch'", name="torch"),
            "training needs torch: pip install 'stepnav[train]'.",
        ),
        (
            ImportError("libcudart.so.12: no such file", name="_C"),
            "what training needs is there and cannot be loaded "
            "(ImportError: 'libcudart.so.12: no such file'); install it again, or give this "
            "process more memory",
        ),
    ],
)
def test_a_missing_library_is_not_told_as_a_broken_one(error: ImportError, says: str) -> None:
    with (
        pytest.raises(ConfigError) as caught,
        importing("training", "what training needs", "train"),
    ):
        raise error
    assert str(caught.value) == says
