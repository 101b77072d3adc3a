"""What all tests share."""

from __future__ import annotations

import logging
import os
import signal
from pathlib import Path

import pytest

from stepnav.cli import console
from stepnav.core.compute import prepare

prepare()  # before any test loads torch
os.environ.setdefault("OMP_NUM_THREADS", "1")  # two threads on tiny matrices collapse under load

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the folder for screenshots."""
    parser.addoption("--screenshots", type=Path, help="folder for screenshots of the pages")


@pytest.fixture(autouse=True)
def no_api_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep keys of the person who runs the tests out of them."""
    for name in ("OPENAI_API_KEY", "STEPNAV_REWARD_API_KEY", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def usual_signals() -> None:
    """Undo what ignores signals, since every command that a test starts would inherit it.

    Background shells and `nohup` do, and our own command once all is done.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def usual_loudness() -> None:
    """Undo --quiet and --verbose of a command that an earlier test ran in this process."""
    console.set_loudness(quiet=False, verbose=0)
    logging.getLogger("stepnav").setLevel(logging.NOTSET)


@pytest.fixture
def data_folder() -> Path:
    """Return the folder of real benchmark files; skip where it is absent."""
    if not DATA.is_dir():
        pytest.skip(f"the real benchmark files are not there ({DATA})")
    return DATA
