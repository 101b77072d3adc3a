from pathlib import Path

import pytest

from stepnav.core.errors import DataError
from stepnav.zoo.folders import reading, whole_folder


def fill(folder: Path, text: str) -> None:
    with whole_folder(folder) as place:
        (place / "file").write_text(text)


def test_what_a_killed_run_left_is_thrown_away(tmp_path: Path) -> None:
    left = tmp_path / "model.partial"
    left.mkdir()
    (left / "torn").write_text("torn")
    fill(tmp_path / "model", "whole")
    assert [path.name for path in tmp_path.rglob("*")] == ["model", "file"]


def test_a_folder_is_written_again_over_itself(tmp_path: Path) -> None:
    fill(tmp_path / "model", "old")
    fill(tmp_path / "model", "new")
    assert (tmp_path / "model" / "file").read_text() == "new"
    assert not (tmp_path / "model.partial").exists()


def fail(folder: Path) -> None:
    with whole_folder(folder) as place:
        (place / "file").write_text("half")
        raise OSError(28, "No space left on device")


def test_a_failed_write_keeps_the_old_folder_and_says_so_in_one_line(tmp_path: Path) -> None:
    fill(tmp_path / "model", "old")
    with pytest.raises(DataError, match=r"cannot write .*No space.*--resume") as caught:
        fail(tmp_path / "model")
    assert "\n" not in str(caught.value)
    assert (tmp_path / "model" / "file").read_text() == "old"


def test_what_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    with (
        pytest.raises(DataError, match=r"file is broken .*two lines.*delete it") as caught,
        reading(tmp_path / "file"),
    ):
        raise RuntimeError("two\nlines")
    assert "\n" not in str(caught.value)
