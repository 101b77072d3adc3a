import json
import shutil
from pathlib import Path

import pytest

from stepnav.core.errors import ConfigError, DataError
from stepnav.policies.local.known import Known
from stepnav.policies.local.prompt import FILE_NAME as POLICY_FORMAT
from stepnav.rewards.local.step_format import StepFormat
from stepnav.tasks.arithmetic import problems as arithmetic
from stepnav.zoo import MODELS_FOLDER
from stepnav.zoo.domains import DOMAINS
from stepnav.zoo.recipe import make_models

POLICY_NAME, PRM_NAME = "arithmetic-policy", "arithmetic-prm"
MAX_BYTES = 16_000_000


@pytest.mark.slow
def test_the_recipe_runs_end_to_end_and_is_not_run_twice(tmp_path: Path) -> None:
    stages: list[str] = []

    def note(stage: str, done: int, total: int, value: float | None) -> None:
        if stage not in stages:
            stages.append(stage)

    out = tmp_path / "out"
    evaluation = make_models(out, scale="tiny", progress=note)
    assert "labels" in stages
    assert evaluation["split"] == "test"
    for name in (POLICY_NAME, PRM_NAME):
        assert json.loads((out / name / "evaluation.json").read_text()) == evaluation
        assert (out / name / "README.md").read_text().startswith("---\nlicense")
    assert (out / POLICY_NAME / POLICY_FORMAT).exists()
    weights = (out / PRM_NAME / "model.safetensors").read_bytes()
    stages.clear()
    assert make_models(out, scale="tiny", resume=True, progress=note) == evaluation
    assert stages == []
    assert (out / PRM_NAME / "model.safetensors").read_bytes() == weights


@pytest.mark.slow
def test_the_recipe_of_plain_questions_measures_what_the_policy_knows(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    make_models(tmp_path / "out", task="plain", scale="tiny")
    policy = tmp_path / "out" / "plain-policy"
    assert Known.load(policy) is not None
    assert "early snapshot" not in (policy / "README.md").read_text()
    dtypes = {tensor.dtype for tensor in load_file(policy / "model.safetensors").values()}
    assert dtypes == {torch.bfloat16}


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="not empty"):
        make_models(tmp_path, scale="tiny")


def test_another_run_is_not_continued(tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_text('{"task": "arithmetic", "scale": "tiny", "seed": 1}')
    with pytest.raises(ConfigError, match="name another folder"):
        make_models(tmp_path, scale="tiny", seed=2, resume=True)


def test_a_broken_claim_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_text('{"scale": "ti')
    with pytest.raises(DataError, match=r"recipe.json is broken .*name another folder"):
        make_models(tmp_path, scale="tiny", resume=True)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="is a file; name a folder"):
        make_models(tmp_path / "file", scale="tiny")


@pytest.mark.slow
def test_a_run_killed_between_snapshot_and_checkpoint_goes_on(tmp_path: Path) -> None:
    """The snapshot is saved a second time, and each stage says how far it is."""
    stages: list[str] = []

    class Killed(Exception):
        pass

    def kill(stage: str, done: int, total: int, value: float | None) -> None:
        if stage == "labels":
            raise Killed

    def note(stage: str, done: int, total: int, value: float | None) -> None:
        stages.append(stage)
        assert done <= total

    out = tmp_path / "out"
    with pytest.raises(Killed):
        make_models(out, scale="tiny", progress=kill)
    (out / "work" / "lm" / "checkpoint.pt").unlink()
    shutil.rmtree(out / "work" / "lm" / "final")
    make_models(out, scale="tiny", resume=True, progress=note)
    assert {"labels", "evaluation"} <= set(stages)
    stages.clear()
    (out / PRM_NAME / "model.safetensors").write_bytes(b"torn")
    (out / "work" / "evaluation.json").unlink()
    with pytest.raises(DataError, match=r"arithmetic-prm is broken .*delete it"):
        make_models(out, scale="tiny", resume=True, progress=note)


def test_an_unknown_task_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'arithmetics' \(did you mean 'arithmetic'\?\)"):
        make_models(tmp_path, task="arithmetics")


def test_an_unknown_scale_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="huge"):
        make_models(tmp_path, scale="huge")


@pytest.mark.parametrize("task", [name for name in DOMAINS if any(MODELS_FOLDER.glob(f"{name}-*"))])
def test_the_shipped_models_of_a_task_are_small(task: str) -> None:
    folders = [MODELS_FOLDER / f"{task}-policy", MODELS_FOLDER / f"{task}-prm"]
    files = [path for folder in folders for path in folder.iterdir()]
    assert sum(path.stat().st_size for path in files) <= MAX_BYTES


def test_the_shipped_policy_is_an_ordinary_model_that_samples_by_default() -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from stepnav.zoo.training.sampling import SampleRequest, sample_solutions

    folder = MODELS_FOLDER / POLICY_NAME
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert model.generation_config.do_sample
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    problem = arithmetic.load("dev", 1)[0]
    prompt = arithmetic.PROMPT_TEMPLATE.format(question=problem.question)
    [solution] = sample_solutions(model, tokenizer, [SampleRequest(prompt, 0.0)], seed=0)
    assert arithmetic.extract(solution) is not None


@pytest.mark.skipif(not (MODELS_FOLDER / PRM_NAME).exists(), reason="no reward model is shipped")
def test_the_shipped_reward_model_is_an_ordinary_model_that_rates_steps() -> None:
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    from stepnav.zoo.training.scoring import class_probs

    folder = MODELS_FOLDER / PRM_NAME
    model = AutoModelForTokenClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert model.config.id2label == {0: "negative", 1: "neutral", 2: "positive"}
    problem = arithmetic.load("dev", 1)[0]
    steps = arithmetic.solve(problem.id)
    [probs] = class_probs(model, tokenizer, [(problem.question, steps)], StepFormat.load(folder))
    assert [sum(step) for step in probs] == pytest.approx([1.0] * len(steps))
