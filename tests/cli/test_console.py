import gc
import sys

import pytest

from stepnav.cli import console
from stepnav.cli.console import resume_command


def test_a_run_goes_on_as_it_was_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    monkeypatch.setattr(sys, "argv", ["stepnav", "train", "prm", "--out", "my run", "--resume"])
    assert resume_command() == "stepnav train prm --out 'my run' --resume"
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert resume_command() == (
        "torchrun --nproc_per_node 2 -m stepnav train prm --out 'my run' --resume"
    )


def test_a_run_started_without_the_flag_goes_on_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    monkeypatch.setattr(sys, "argv", ["stepnav", "data", "mutate", "--out", "a b/m"])
    assert resume_command() == "stepnav data mutate --out 'a b/m' --resume"


def test_what_is_loaded_is_shown_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with console.loading("torch"):
        assert not gc.isenabled()
    assert gc.isenabled()
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("FORCE_COLOR", "1")
    with console.loading("torch"):
        pass
    assert "loading torch" in capsys.readouterr().err
