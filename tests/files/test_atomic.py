from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from stepnav.core.errors import ConfigError, DataError
from stepnav.files.atomic import STDOUT, check_output, whole_folder, write_text, write_with


def fill_disk(place: Path) -> None:
    place.write_text("half of ")
    raise OSError(errno.ENOSPC, "No space left on device")


def test_writes_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.md"
    write_text(path, "eins ü\n")
    write_text(path, "zwei\n")
    assert path.read_text() == "zwei\n"
    assert [entry.name for entry in path.parent.iterdir()] == ["a.md"]


def test_what_is_no_utf8_is_written_as_escapes(tmp_path: Path) -> None:
    write_text(tmp_path / "a.md", os.fsdecode(b"run-\xe4\n"))
    assert (tmp_path / "a.md").read_text() == "run-\\udce4\n"


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


def test_a_link_to_a_file_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real.md").write_text("old")
    for name, target in (("link", "real.md"), ("dangling", "later.md")):
        (tmp_path / name).symlink_to(tmp_path / target)
        write_text(tmp_path / name, "new")
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / target).read_text() == "new"


def test_links_in_a_circle_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(DataError, match="cannot write"):
        write_text(tmp_path / "a", "new")
    assert (tmp_path / "a").is_symlink()


def test_devices_pipes_and_folders_are_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "to_device").symlink_to(os.devnull)
    before = os.stat(os.devnull)
    places = [tmp_path / "pipe", tmp_path / "to_device", Path(os.devnull), tmp_path, Path(".")]
    for path in places:
        with pytest.raises(
            ConfigError, match=r"is a (folder|device or a pipe) and is not replaced"
        ):
            write_text(path, "text")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert os.stat(os.devnull).st_ino == before.st_ino
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pipe", "to_device"]


def test_a_dash_is_standard_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_text(STDOUT, "eins ü\n")
    assert capfdbinary.readouterr().out == "eins ü\n".encode()
    assert list(tmp_path.iterdir()) == []


def test_an_input_is_not_an_output(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text("{}")
    (tmp_path / "other_name").symlink_to(source)
    os.link(source, tmp_path / "hard_link")
    for name in ("in.jsonl", "other_name", "hard_link", "x/../in.jsonl"):
        (tmp_path / "x").mkdir(exist_ok=True)
        with pytest.raises(ConfigError, match="is read and would be written over"):
            check_output(tmp_path / name, None, tmp_path / "missing", source)
    check_output(tmp_path / "out.jsonl", source)
    check_output(STDOUT, source)


def test_a_file_is_not_replaced_by_a_folder(tmp_path: Path) -> None:
    (tmp_path / "model").write_text("a file")
    with pytest.raises(ConfigError, match="is not a folder and is not replaced"):
        fill(tmp_path / "model", "new")
    assert (tmp_path / "model").read_text() == "a file"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
