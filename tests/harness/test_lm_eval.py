"""lm-eval's two local models against a running server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import stepnav
from stepnav import build
from tests.serve.processes import process

pytest.importorskip("lm_eval")
pytestmark = [pytest.mark.server, pytest.mark.timeout(1200)]

NUM_PROBLEMS, SEED = 8, 8
TASK = """
task: ours
dataset_path: json
dataset_kwargs:
  data_files: {{"test": "{data}"}}
output_type: generate_until
test_split: test
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{answer}}}}"
metric_list:
  - metric: exact_match
    aggregation: mean
    higher_is_better: true
generation_kwargs:
  until: ["Question:"]
  do_sample: false
  max_gen_toks: 256
filter_list:
  - name: marked
    filter:
      - function: regex
        regex_pattern: "#### (-?[0-9.,]+)"
      - function: take_first
"""


@pytest.fixture(scope="module")
def url():
    with process("--policy", "arithmetic") as (url, _):
        yield url


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    """Return a folder with a task of lm-eval's over some problems of ours."""
    problems = build.load_task("arithmetic").load("dev", NUM_PROBLEMS, SEED, None)
    data = tmp_path / "test.jsonl"
    rows = [{"id": p.id, "question": p.question, "answer": str(p.answer)} for p in problems]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "ours.yaml").write_text(TASK.format(data=data))
    return tmp_path


MODELS = {
    "local-completions": ("completions", "tokenizer_backend=None", []),
    "local-chat-completions": ("chat/completions", "", ["--apply_chat_template"]),
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("strategy", ["cot", "hgs"])
def test_lm_eval_scores_as_we_do(model: str, strategy: str, url: str, tasks: Path) -> None:
    path, extra, words = MODELS[model]
    arguments = [f"model={strategy}-arithmetic", f"base_url={url}/v1/{path}", "num_concurrent=4",
                 "max_retries=1", f"seed={SEED}", *filter(None, [extra])]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "lm_eval", "run", "--tasks", "ours", "--include_path", str(tasks),
         "--model", model, "--model_args", ",".join(arguments), "--output_path", str(tasks / "out"),
         "--log_samples", *words],
        capture_output=True, text=True, cwd=tasks,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tasks)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (samples,) = (tasks / "out").rglob("samples_ours_*.jsonl")
    rows = [json.loads(line) for line in samples.read_text().splitlines()]
    assert len(rows) == NUM_PROBLEMS
    expected = texts(strategy)
    for row in rows:
        text = expected[row["doc"]["id"]]
        assert row["resps"][0][0].strip() == text
        assert row["exact_match"] == (row["doc"]["answer"] == text.rpartition("#### ")[2])
    assert {row["exact_match"] for row in rows} == {0.0, 1.0}  # else nothing is compared


def texts(strategy: str) -> dict[str, str]:
    """Return the solution to each problem: of a bench for cot, and of the same id for others."""
    task = build.load_task("arithmetic")
    problems = task.load("dev", NUM_PROBLEMS, SEED, None)
    if strategy == "cot":
        results = stepnav.bench(task, ["cot"], count=NUM_PROBLEMS, split="dev", seed=SEED)
        return {t.tree.problem.id: t.result.outcome.trajectory.text.strip() for t in results.trees}
    return {
        problem.id: stepnav.solve(
            problem.question, strategy=strategy, task="arithmetic", policy="arithmetic",
            reward="arithmetic", seed=SEED,
        ).text.strip()
        for problem in problems
    }  # fmt: skip
