"""The measurement for one GPU, run whole on the CPU at small size."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.timeout(4800)
def test_every_part_of_the_gpu_script_runs(tmp_path: Path) -> None:
    environment = {
        **os.environ, "PYTHON": sys.executable, "OMP_NUM_THREADS": "1", "PATIENCE": "20",
    }  # fmt: skip
    command = ["bash", str(ROOT / "benchmarks" / "gpu.sh"), str(tmp_path), "--small"]
    found = subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=4700, check=False
    )
    logs = "".join(path.with_suffix(".log").read_text() for path in tmp_path.glob("*.failed"))
    assert not logs, logs[-3000:]
    report = json.loads((tmp_path / "report.json").read_text())
    names = {"machine", "equality-arithmetic", "score", "train"}
    names |= {
        f"{kind}-{model}" for kind in ("speed", "others") for model in ("arithmetic", "llama-1b")
    }
    assert report["parts"].keys() == names
    equal = report["parts"]["equality-arithmetic"]
    assert equal["float32, graphs"]["largest difference"] < 1e-4
    assert equal["float32, graphs"]["replays"] > 4
    assert "times the floor" in (tmp_path / "report.md").read_text()
    assert "Parts that failed" not in found.stdout


def test_a_part_that_fails_is_told_and_what_it_measured_is_kept(tmp_path: Path) -> None:
    (tmp_path / "machine.json").write_text('{"bytes_per_s": 1e9}')
    (tmp_path / "speed-x.failed").write_text('{"failed": "exit code 124; see speed-x.log"}')
    speed = {"float32 bytes": 4e6, "float32, batch 1, graphs": {"ms_per_pass": 8.0}}
    (tmp_path / "speed-x.part").write_text(json.dumps(speed))
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu_report.py"), str(tmp_path)]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "- speed-x: exit code 124; see speed-x.log" in found.stdout
    report = json.loads((tmp_path / "report.json").read_text())
    row = report["parts"]["speed-x"]["float32, batch 1, graphs"]
    assert row["times the floor"] == pytest.approx(2.0)
