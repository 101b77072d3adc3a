"""Reward models against a real vLLM: the numbers of the same tiny checkpoint in this process.

Runs where `vllm` is on the path, or `STEPNAV_VLLM` names it (an environment of its own will do).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from stepnav.rewards.families.recognise import open_checkpoint
from stepnav.rewards.local.step_format import StepFormat
from stepnav.rewards.remote import RemoteReward
from stepnav.rewards.remote import reward as remote_reward
from stepnav.rewards.remote.routes import ROUTES
from tests.rewards import public_models
from tests.rewards.public_models import trajectories
from tests.rewards.remote.test_remote import check_equal, score

VLLM = os.environ.get("STEPNAV_VLLM") or shutil.which("vllm")
START_LIMIT_S = 900.0

pytestmark = [
    pytest.mark.slow,
    pytest.mark.vllm,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(VLLM is None, reason="vllm is not installed, and STEPNAV_VLLM names none"),
]


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[str]:
    """Start vLLM on a free port and wait until it is up."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    usual = "--dtype float32 --enforce-eager --max-model-len 512 --host 127.0.0.1"
    environment = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_NO_USAGE_STATS": "1",
    }
    with (folder / "vllm.log").open("w") as log:
        process = subprocess.Popen(
            [str(VLLM), "serve", str(folder), *usual.split(), "--port", str(port), *options],
            stdout=log, stderr=subprocess.STDOUT, env=environment, start_new_session=True,
        )  # fmt: skip
        url = f"http://127.0.0.1:{port}"
        try:
            for _ in range(int(START_LIMIT_S)):
                try:
                    if httpx.get(f"{url}/health").status_code == 200:
                        break
                except httpx.TransportError:
                    pass
                assert process.poll() is None, (folder / "vllm.log").read_text()[-2000:]
                time.sleep(1)
            yield url
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(60)


def make(family: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a tiny checkpoint with attention heads as wide as vLLM's kernels want."""
    usual = public_models.small

    def wide(vocab_size: int, **extra: object) -> dict[str, object]:
        sizes = {"hidden_size": 128, "intermediate_size": 128}
        return {**usual(vocab_size), **sizes, **extra}

    monkeypatch.setattr(public_models, "small", wide)
    if family == "qwen-prm":
        return public_models.qwen_prm(folder)
    if family == "prm":
        public_models.token_classes(folder, ("negative", "neutral", "positive"))
        StepFormat(temperature=1.7).save(folder)
        return folder
    return public_models.MAKERS[family][1](folder)


POOLING = ("--runner", "pooling")


@pytest.mark.parametrize("family", ["prm", "token-classes", "qwen-prm", "orm"])
def test_pooling_models(family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make(family, tmp_path / "model", monkeypatch)
    options = list(POOLING)
    if family == "qwen-prm":
        tag = public_models.qwen_tokenizer().convert_tokens_to_ids("<extra_0>")
        pooler = {"tok_pooling_type": "STEP", "step_tag_id": tag}
        options += ["--pooler-config", json.dumps(pooler)]
    with serving(folder, *options) as url:
        backend = RemoteReward(url)
        answers = score(backend, *trajectories())
        backend.close()
    check_equal(answers, score(open_checkpoint(folder, device="cpu"), *trajectories()))


@pytest.mark.parametrize("family", ["math-shepherd", "rlhflow"])
def test_label_writers(family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make(family, tmp_path / "model", monkeypatch)
    local = score(open_checkpoint(folder, family=family, device="cpu"), *trajectories())
    names = ["POST /generative_scoring", "POST /v1/completions by label"]
    with serving(folder) as url:
        for name in names:
            routes = {**ROUTES, "labels": {name: ROUTES["labels"][name]}}
            monkeypatch.setattr(remote_reward, "ROUTES", routes)
            backend = RemoteReward(url, family=family)
            answers = score(backend, *trajectories())
            backend.close()
            check_equal(answers, local)
