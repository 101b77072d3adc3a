from __future__ import annotations

import errno
from pathlib import Path

import pytest

from stepnav.core.errors import DataError
from stepnav.files.atomic import whole_folder, write_text, write_with


def fill_disk(place: Path) -> None:
    place.write_text("half of ")
    raise OSError(errno.ENOSPC, "No space left on device")


def test_writes_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.md"
    write_text(path, "eins ü\n")
    write_text(path, "zwei\n")
    assert path.read_text() == "zwei\n"
    assert [entry.name for entry in path.parent.iterdir()] == ["a.md"]


def test_a_full_disk_is_one_line_and_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    write_text(path, "old")
    with pytest.raises(
        DataError, match=r"cannot write .*a\.md: No space left on device; free"
    ) as e:
        write_with(path, fill_disk)
    assert "\n" not in str(e.value)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.md"]


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(DataError, match="cannot write"):
        write_text(tmp_path / "run" / "a.md", "text")


def test_other_errors_leave_nothing_behind(tmp_path: Path) -> None:
    def fail(place: Path) -> None:
        place.write_text("half")
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        write_with(tmp_path / "a.md", fail)
    assert list(tmp_path.iterdir()) == []


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
    with pytest.raises(DataError, match=r"cannot write .*No space.*free some space") as caught:
        fail(tmp_path / "model")
    assert "\n" not in str(caught.value)
    assert (tmp_path / "model" / "file").read_text() == "old"


def test_the_old_folder_comes_back_if_the_new_one_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "model", "old")
    replace = Path.replace

    def fail(self: Path, target: Path) -> Path:
        if self.name.endswith(".partial"):
            raise OSError(errno.EIO, "Input/output error")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(DataError, match="cannot write"):
        fill(tmp_path / "model", "new")
    assert (tmp_path / "model" / "file").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_link_to_a_folder_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    fill(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "file").read_text() == "new"
