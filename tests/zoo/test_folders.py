from pathlib import Path

import pytest

from stepnav.core.errors import DataError
from stepnav.zoo.folders import reading


def test_what_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    with (
        pytest.raises(DataError, match=r"file is broken .*two lines.*delete it") as caught,
        reading(tmp_path / "file"),
    ):
        raise RuntimeError("two\nlines")
    assert "\n" not in str(caught.value)
