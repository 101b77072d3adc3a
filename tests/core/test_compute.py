"""Settings that must stand before the numeric libraries are loaded, and the user's own ones."""

import os
import subprocess
import sys

import pytest

from stepnav.core.compute import PASSIVE, REPRODUCIBLE, prepare

OPENED = {
    "command": "import sys; sys.argv[1:] = ['-V']; from stepnav.cli.main import main; main()",
    "model": "from stepnav.engine.checkpoint.loading import require_torch; require_torch()",
}


@pytest.mark.parametrize("code", OPENED.values(), ids=OPENED)
def test_set_before_torch_is_loaded(code: str) -> None:
    watch = (
        "import os, sys\n"
        "class Watch:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'torch': print(os.environ.get('OMP_WAIT_POLICY'), "
        "os.environ.get('MKL_CBWR'))\n"
        "sys.meta_path.insert(0, Watch())\n"
    )
    after = "\nimport torch"
    clean = {
        name: value for name, value in os.environ.items() if name not in {**PASSIVE, **REPRODUCIBLE}
    }
    done = subprocess.run(
        [sys.executable, "-c", watch + code + after],
        env=clean, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split()[-2:] == ["PASSIVE", "AUTO,STRICT"]


@pytest.mark.parametrize("name", PASSIVE)
def test_the_users_own_setting_stays(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for each in PASSIVE:
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setenv(name, "5")
    prepare()
    assert {each: os.environ.get(each) for each in PASSIVE if each in os.environ} == {name: "5"}


def test_the_users_own_kernels_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    prepare()
    assert os.environ["MKL_CBWR"] == "COMPATIBLE"


FORK = """
import os, signal
from stepnav.engine.checkpoint.loading import require_torch
require_torch()
import torch
def use_all_threads():
    return torch.ones(4_000_000, dtype=torch.bfloat16).float().sum().item()
torch.set_num_threads(2)
use_all_threads()
child = os.fork()
if child == 0:
    signal.alarm(20)
    print(use_all_threads(), flush=True)
    os._exit(0)
os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_computes_without_the_threads_that_it_lacks() -> None:
    command = [sys.executable, "-c", FORK]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.returncode) == ("4000000.0\n", 0)
