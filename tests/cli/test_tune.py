"""`stepnav tune`, and `bench --tuned`, on the shipped models."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stepnav import build
from stepnav.cli import bench_plan, run_folder
from stepnav.cli.console import Interrupted
from stepnav.cli.main import app
from stepnav.core.errors import BackendError, ConfigError, DataError
from stepnav.measure.plan_file import read_plan
from stepnav.measure.prm.scores import folder_digest
from stepnav.rewards.measured import FILE_NAME, write_measured
from stepnav.zoo import MODELS_FOLDER

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
import results
import voting

OWN = "cot,hgs:branching=2:max_draws=6,hgs:branching=4:max_draws=6"
TUNE = ("tune", "--budgets", "40,90", "--rungs", "1,2", "--strategies", OWN)


def run(*words: str) -> None:
    app(list(words), standalone_mode=False)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tune") / "run"
    run(*TUNE, "--out", str(out))
    return out / "tuned.json"


def test_the_file_says_what_was_found_and_for_what(tuned: Path) -> None:
    found = json.loads(tuned.read_text())
    assert (found["task"], found["split"], found["rungs"]) == ("arithmetic", "dev", [1, 2])
    assert len(found["policy_digest"]) == len(found["reward_digest"]) == 32
    assert found["searches"] == 2 * 2 * 2
    assert found["policy_tokens"] > 0
    best = {(entry["strategy"], entry["budget"]): entry for entry in found["best"]}
    assert list(best) == [("cot", 40), ("hgs", 40), ("cot", 90), ("hgs", 90)]
    assert best["hgs", 40]["setting"] in OWN.split(",")
    assert (best["hgs", 40]["tried"], best["hgs", 40]["problems"]) == (2, 2)
    run("report", str(tuned.parent), "--json")  # its folder is a run like others


def test_options_are_not_tuned_on_what_bench_reports_on_unless_it_is_named(
    tuned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--problems", "1", "--tuned", str(tuned), "--strategies", "cot")
    run("bench", *words, "--out", str(tmp_path / "dev"), "--split", "dev")
    assert "note: The options were tuned on this split (dev)" in capsys.readouterr().err
    assert (
        "- The options were tuned on this split (dev)"
        in (tmp_path / "dev" / "report.md").read_text()
    )
    run("bench", *words, "--out", str(tmp_path / "test"), "--split", "test")
    assert "tuned on this split" not in capsys.readouterr().err
    path = tmp_path / "own.jsonl"
    path.write_text('{"question": "1 + 1?", "answer": "2"}\n' * 2)
    own = (*TUNE[:3], "--task", str(path), "--reward", "arithmetic", "--policy", "arithmetic")
    own += ("--rungs", "1,2", "--strategies", "cot", "--out", str(tmp_path / "own"), "--dry-run")
    with pytest.raises(ConfigError, match=r"no dev or train split .*; name --split test if"):
        run(*own)
    run(*own, "--split", "test")
    assert "/test)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("default", "splits", "taken", "named"),
    [
        ("dev", ("train", "dev", "test"), "dev", "test"),
        ("test", ("train", "test"), "train", None),
        ("test", ("train", "dev", "test"), "dev", None),
    ],
)
def test_what_tune_runs_on_and_names_for_bench(
    default: str, splits: tuple[str, ...], taken: str, named: str | None
) -> None:
    task = replace(build.load_task("arithmetic"), default_split=default, splits=splits)
    assert run_folder.tuning_split(task, None) == taken
    assert run_folder.split_to_report_on(task, taken) == named
    assert run_folder.split_to_report_on(task, "test") is None


def test_killed_and_started_again_it_finds_the_same(
    tuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    whole = bench_plan.run_cells

    def stopped(*args: Any, **options: Any) -> Iterator[Any]:
        for found in whole(*args, **options):
            seen.append(found)
            if len(seen) == 3:
                raise KeyboardInterrupt
            yield found

    seen: list[Any] = []
    with monkeypatch.context() as patch:
        patch.setattr(bench_plan, "run_cells", stopped)
        with pytest.raises(Interrupted, match="3 searches are done and kept; go on with"):
            run(*TUNE, "--out", str(out), "--active", "1")
    assert not (out / "tuned.json").exists()
    with pytest.raises(ConfigError, match="add --resume"):
        run(*TUNE, "--out", str(out))
    with pytest.raises(ConfigError, match="rungs=1,2, now problems=3, rungs=1,3"):
        run(*(word.replace("1,2", "1,3") for word in TUNE), "--out", str(out), "--resume")
    capsys.readouterr()
    run(*TUNE, "--out", str(out), "--resume")
    told = capsys.readouterr().err
    assert "3 of them done" in told
    assert "stepnav bench --task arithmetic --split test --tuned" in told
    now, before = (json.loads(path.read_text()) for path in (out / "tuned.json", tuned))
    del now["seconds"], before["seconds"]
    assert now == before


def test_a_dry_run_tells_the_grid_and_the_most_it_may_cost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "open_models", None)
    words = ("tune", "--budgets", "100,300", "--out", str(tmp_path / "run"), "--dry-run")
    run(*words, "--json")
    found = json.loads(capsys.readouterr().out)
    rows = {row["strategy"]: row for row in found["rows"]}
    assert rows.keys() == build.STRATEGIES.keys()
    assert rows["cot"]["searches"] == 0
    rivals = len(rows["hgs"]["tried"])
    assert "hgs:published" in rows["hgs"]["tried"]
    assert rows["hgs"]["searches"] == 2 * (rivals * 40 + 3 * 40 + 2 * 80)
    assert rows["hgs"]["policy_tokens_at_most"] == rows["hgs"]["searches"] * 200
    run(*words, "--strategies", "hgs")
    assert "hgs, hgs:published, hgs:published:temperature=1.0" in capsys.readouterr().out
    assert not (tmp_path / "run").exists()


def test_bench_takes_each_budgets_options_and_leaves_given_ones(
    tuned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = json.loads(tuned.read_text())
    for entry in found["best"]:
        if entry["strategy"] == "hgs":
            entry["setting"] = f"hgs:max_draws=6:branching={2 if entry['budget'] == 40 else 3}"
    path = tmp_path / "own.json"
    path.write_text(json.dumps(found))
    out = tmp_path / "run"
    words = ("--problems", "1", "--tuned", str(path), "--out", str(out))
    capsys.readouterr()
    run("bench", *words, "--strategies", "hgs,hgs:published:max_draws=6,weighted_vote", "--json")
    told = capsys.readouterr()
    assert "note: weighted_vote was not tuned" in told.err
    rows = {(row["label"], row["budget"]): row for row in json.loads(told.out)["rows"]}
    options = {group: row["options"] for group, row in rows.items()}
    assert [options["hgs", budget]["branching"] for budget in (40, 90)] == [2, 3]
    assert [options["hgs", budget]["replace"] for budget in (40, 90)] == [False, False]
    published = options["hgs:published:max_draws=6", 90]
    assert (published["replace"], published["branching"]) == (True, 8)
    report = (out / "report.md").read_text()
    assert "| hgs | hgs | 40 | branching=2," in report
    assert "| hgs | hgs | 90 | branching=3," in report
    assert read_plan(out).strategies[0].by_budget[90]["branching"] == 3
    with pytest.raises(ConfigError, match=r"hgs for the budgets 40, 90 \(got 70\)"):
        run("bench", *words, "--resume", "--budgets", "70", "--strategies", "hgs")


OWN_STRATEGY = """
from stepnav.core.outcome import Outcome
from stepnav.core.requests import Sampling, propose


def careful(tree, *, branching: int = 2):
    root = tree.root.trajectory
    drawn = yield from propose(root, n=branching, sampling=Sampling(1.0))
    return Outcome(tree.add_trajectory(root.extend(drawn[0])).trajectory, "finished")


def broken(tree, *, branching: int = 2):
    yield from propose(tree.root.trajectory, n=branching, sampling=Sampling(1.0))
    raise RuntimeError("no")
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(OWN_STRATEGY)
    return path


def test_a_strategy_of_ones_own_is_tuned_and_used(own: Path, tmp_path: Path) -> None:
    out, run_out = tmp_path / "tune", tmp_path / "run"
    names = f"{own}:careful:branching=2,{own}:careful:branching=4"
    run("tune", "--budgets", "40", "--rungs", "1,2", "--strategies", names, "--out", str(out))
    words = ("bench", "--tuned", str(out / "tuned.json"), "--problems", "1", "--out", str(run_out))
    run(*words)
    assert read_plan(run_out).labels == ["careful"]
    own.write_text(OWN_STRATEGY + "# another one\n")
    with pytest.raises(ConfigError, match=r"made with digest of mine.py="):
        run(*words, "--resume")


def test_options_tuned_on_rows_of_ones_own_are_measured_on_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("dev", "held"):
        row = {"question": "Mia has 12 coins. She finds 30 coins. How many coins?", "answer": "42"}
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(row) + "\n")
    models = ("--policy", "arithmetic", "--reward", "arithmetic")
    dev, out = tmp_path / "dev.jsonl", tmp_path / "tune"
    words = ("--budgets", "40", "--rungs", "1", "--strategies", "cot", "--split", "test")
    run("tune", "--task", str(dev), *words, "--out", str(out), *models)
    words = ("bench", "--tuned", str(out / "tuned.json"), *models)
    run(*words, "--task", str(tmp_path / "held.jsonl"), "--out", str(tmp_path / "other"))
    assert "note: The options were tuned on " in (told := capsys.readouterr().err)
    assert "held.jsonl" in told and "on this split" not in told
    run(*words, "--task", f"{tmp_path}/../{tmp_path.name}/dev.jsonl", "--out", str(tmp_path / "b"))
    assert "note: The options were tuned on this split (test)" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="this is task arithmetic"):
        run(*words, "--task", "arithmetic", "--out", str(tmp_path / "c"))


def test_a_reward_model_whose_p_right_was_calibrated_since_keeps_its_tuned_options(
    tmp_path: Path,
) -> None:
    prm, out = tmp_path / "prm", tmp_path / "tune"
    shutil.copytree(MODELS_FOLDER / "arithmetic-prm", prm)
    words = ("--budgets", "40", "--rungs", "1", "--strategies", "hgs:branching=2")
    run("tune", *words, "--reward", str(prm), "--out", str(out))
    made = json.loads((out / "tuned.json").read_text())["reward_digest"]
    bare = folder_digest(prm, without=FILE_NAME)
    row = {"options": {"right_offset": 0.5}, "reward_digest": made, "weights_digest": bare}
    write_measured(prm, "nav", row)
    words = ("bench", "--problems", "1", "--tuned", str(out / "tuned.json"), "--reward", str(prm))
    run(*words, "--out", str(tmp_path / "run"))
    assert read_plan(tmp_path / "run").strategies[0].by_budget[40]["branching"] == 2
    (prm / "README.md").unlink()
    (prm / "config.json").write_text((prm / "config.json").read_text() + "\n")
    with pytest.raises(ConfigError, match="tuned for reward"):
        run(*words, "--out", str(tmp_path / "other"))


def test_tuning_in_which_every_search_failed_is_an_error(own: Path, tmp_path: Path) -> None:
    names = f"{own}:broken:branching=2,{own}:broken:branching=4"
    words = ("tune", "--budgets", "40", "--rungs", "1,2", "--strategies", names)
    with pytest.raises(BackendError, match=r"4 of 4 searches failed .*; stepnav tune --resume"):
        run(*words, "--out", str(tmp_path / "tune"))
    assert not (tmp_path / "tune" / "tuned.json").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--task micro-python", "tuned for task arithmetic, this is task micro-python"),
        ("--reward plain", r"tuned for reward arithmetic \(.{8}\), this is reward plain"),
        ("--policy plain", r"tuned for policy arithmetic \(.{8}\), this is policy plain"),
    ],
)
def test_bench_refuses_options_of_another_task_or_model(
    words: str, says: str, tuned: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=says):
        run("bench", "--out", str(tmp_path / "run"), "--tuned", str(tuned), *words.split())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("tune --budgets x", "whole numbers between commas"),
        ("tune --budgets 9 --rungs 4,2", "rising numbers"),
        ("tune --budgets 0", "a budget must be a whole number of at least 1"),
        ("tune --budgets 9 --strategies hgs,hgs:branching=4", "got 'hgs:branching=4' twice"),
        ("tune --budgets 9 --strategies ,", "name at least one"),
        ("bench --strategies cot:published", "cot knows no options as published"),
        ("bench --strategies hgs:branching=4:published", "'published' in .* must read"),
        ("bench --tuned none.json", "cannot read none.json"),
    ],
)
def test_bad_input_is_one_clear_line(words: str, says: str, tmp_path: Path) -> None:
    with pytest.raises((ConfigError, DataError), match=says):
        run(*words.split(), "--out", str(tmp_path / "run"))


def test_votes_of_the_first_samples_are_those_of_a_run_of_so_many(tmp_path: Path) -> None:
    words = ("bench", "--problems", "1", "--strategies", "weighted_vote:samples=4,cot", "--json")
    run(*words, "--out", str(tmp_path / "run"))
    found = {(row["label"], row["samples"]): row for row in voting.curves(tmp_path / "run")}
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    whole = next(row for row in report["rows"] if row["strategy"] == "weighted_vote")
    assert [size for name, size in found if name == "best_of_n"] == [1, 2, 4]
    assert found["weighted_vote", 4]["accuracy"] == whole["accuracy"]
    assert found["weighted_vote", 4]["policy_tokens"] == whole["policy_tokens_per_problem"]
    tokens = [found["weighted_vote", size]["policy_tokens"] for size in (1, 2, 4)]
    assert tokens[0] < tokens[1] < tokens[2]
    assert [row["label"] for row in voting.others(tmp_path / "run")] == ["cot"]
    assert voting.choices(["4", "5", "5"], [0.9, 0.3, 0.4]) == ("5", "4", "4")


def test_every_run_of_the_results_is_one_that_bench_would_take() -> None:
    for run_ in results.RUNS.values():
        words = list(run_.words)
        texts = run_folder.split_names(words[words.index("--strategies") + 1])
        labels = [build.parse_strategy(text).label for text in texts]
        assert len(set(labels)) == len(labels)
    trial = results.command(results.RUNS["arithmetic"], Path("o"), trial=3)
    assert "test" not in trial
    assert trial[trial.index("--problems") + 1] == "3"


def test_every_setting_of_the_grid_is_one_of_its_own() -> None:
    for name in build.STRATEGIES:
        parsed = [build.parse_strategy(text) for text in build.candidates(name)]
        assert parsed[0].options == {}
        resolved = [tuple(s.for_budget(500).options.items()) for s in parsed]
        assert len(set(resolved)) == len(resolved), name
