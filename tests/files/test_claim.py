from __future__ import annotations

import json
from pathlib import Path

import pytest

from stepnav.core.errors import ConfigError, DataError
from stepnav.files.claim import check_claim, claim_folder, first_difference, sealed, unsealed

SETTINGS = {"seed": 1, "data": "abc"}


def claim(folder: Path, *, resume: bool = True, **changed: object) -> None:
    claim_folder(folder / "run.json", {**SETTINGS, **changed}, noun="training", resume=resume)


def test_a_free_folder_is_taken_and_gone_on_with(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "run"
    assert not check_claim(folder / "run.json", SETTINGS, noun="training", resume=False)
    assert not folder.exists()
    claim(folder, resume=False)
    assert json.loads((folder / "run.json").read_text()) == sealed(SETTINGS)
    claim(folder)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / ".run.1234.part.json").write_text("{")  # what a kill left
    claim(tmp_path / "empty", resume=False)


def test_no_run_is_mixed_with_another(tmp_path: Path) -> None:
    claim(tmp_path, resume=False)
    with pytest.raises(ConfigError, match="is not empty; continue with --resume or name another"):
        claim(tmp_path, resume=False)
    with pytest.raises(ConfigError, match=r"holds a training with other settings .seed: 1, now 2."):
        claim(tmp_path, seed=2)
    with pytest.raises(ConfigError, match=r"other settings .epochs: None, now 3."):
        claim(tmp_path, epochs=3)
    assert json.loads((tmp_path / "run.json").read_text()) == sealed(SETTINGS)


def test_what_is_no_such_folder(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"holds no training .run.json is missing."):
        claim(tmp_path)
    with pytest.raises(ConfigError, match="is a file; name a folder"):
        claim(tmp_path / "notes.txt")
    for broken in ('{"seed"', "3"):
        (tmp_path / "run.json").write_text(broken)
        with pytest.raises(DataError, match="is broken"):
            claim(tmp_path)


def test_a_folder_that_cannot_be_made_is_one_line() -> None:
    with pytest.raises(DataError, match=r"cannot write /proc/run/run.json"):
        claim(Path("/proc/run"))


def test_the_first_difference_is_named() -> None:
    assert first_difference({"b": 1, "a": 2}, {"a": 2, "b": 1}) is None
    assert first_difference({"b": 1, "a": 2}, {"b": 3, "a": 4}) == "b: 1, now 3"


def test_settings_that_were_edited_are_refused(tmp_path: Path) -> None:
    claim(tmp_path, resume=False)
    path = tmp_path / "run.json"
    path.write_text(path.read_text().replace('"seed": 1', '"seed": 2'))
    with pytest.raises(DataError, match=r"run\.json were edited after the run .digest .*put back"):
        claim(tmp_path, seed=2)
    path.write_text(path.read_text().replace('"seed": 2', '"seed": 1'))
    claim(tmp_path)


def test_the_digest_follows_values_not_their_order() -> None:
    settings = {"a": 1, "b": [1.5, None]}
    assert unsealed(dict(reversed(sealed(settings).items())), Path("x")) == settings
    assert unsealed(settings, Path("x")) == settings  # written before there was a digest
    assert sealed(settings) != sealed({**settings, "a": 2})
