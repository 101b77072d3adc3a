"""All commands alike: the table, help, options of every command, names that have changed."""

from __future__ import annotations

import json
import logging
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer

from stepnav import build
from stepnav.cli import console
from stepnav.cli.main import app
from stepnav.cli.options.choice import parse_ids, pick
from stepnav.cli.parser.table import COMMANDS, Entry
from stepnav.core.errors import ConfigError, DataError, JournalError
from stepnav.policies.local import PolicyFormat
from stepnav.zoo import MODELS_FOLDER
from tests.cli.test_main import ENVIRONMENT, RUN


def leaves(table: Mapping[str, Entry], *words: str) -> Iterator[tuple[tuple[str, ...], Entry]]:
    """Yield the words and the entry of every command."""
    for name, entry in table.items():
        if entry.module:
            yield (*words, name), entry
        else:
            yield from leaves(entry.commands, *words, name)


ALL = dict(leaves(COMMANDS))


def open_command(words: tuple[str, ...]) -> Any:
    found: Any = typer.main.get_command(app)
    for word in words:
        found = found.commands[word]
    return found


def run(*words: str) -> None:
    app(list(words), standalone_mode=False)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("bench --out=", "--out"),
        ("bench --out x --data=", "--data"),
        ("train prm --out x --model m --data=", "--data"),
        ("solve --policy=", "--policy"),
        ("solve --task=", "--task"),
    ],
)
def test_an_empty_name_is_not_the_current_folder(words: str, name: str) -> None:
    with pytest.raises(Exception, match=f"{name} is empty, which names nothing"):
        run(*words.split())


def test_an_empty_argument_and_an_empty_model_are_refused_too() -> None:
    with pytest.raises(Exception, match="file is empty, which names nothing"):
        run("data", "inspect", "")
    for words in ("--reward likelihood:", "--policy vllm:"):
        with pytest.raises(ConfigError, match="a model has an empty name"):
            run("solve", *words.split())


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_the_table_says_what_the_help_begins_with(words: tuple[str, ...]) -> None:
    first = open_command(words).help.partition("\n\n")[0]
    assert ALL[words].line == " ".join(first.split())


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_help_at_80_columns_is_whole(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    run(*words, "--help")
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    shown = {word.strip(";]") for word in re.sub(r"-\n +", "-", out).split()}
    for param in [param for param in open_command(words).params if not param.hidden]:
        assert {word.strip(";]") for word in param.help.split()} <= shown
        if param.default is not None and param.show_default and not isinstance(param.default, bool):
            assert str(param.default).strip() in shown


def test_help_of_groups_is_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    groups = [(), *((name,) for name, entry in COMMANDS.items() if not entry.module)]
    out = ""
    for words in groups:
        run(*words, "--help")
        out += capsys.readouterr().out
    for entry in [*ALL.values(), *COMMANDS.values()]:
        assert entry.line in " ".join(out.split())


def test_help_imports_no_command() -> None:
    code = f"import sys, atexit; atexit.register(lambda: print(*sys.modules)); {RUN}"
    found = subprocess.run(
        [sys.executable, "-c", code, "--help"], env=ENVIRONMENT, capture_output=True, text=True
    )
    assert "Commands:" in found.stdout
    modules = {f"stepnav.cli.{entry.module}" for entry in ALL.values()}
    assert not modules & set(found.stdout.split())


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("eval-prm --limit 3", "--limit is called --problems now"),
        ("train sft --limit=3", "--limit is called --problems now"),
        ("train prm --cpu", "--cpu is called --device cpu now"),
        ("train orm --bf16", "--bf16 is called --dtype bfloat16 now"),
        ("data rollouts --labels soft", "--labels is called --estimate now"),
    ],
)
def test_old_spellings_name_the_new_one(words: str, says: str) -> None:
    with pytest.raises(typer.BadParameter, match=says):
        run(*words.split())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--device tpu", "--device must be one of auto, cpu, cuda"),
        ("--dtype float16", "--dtype must be one of float32, bfloat16"),
    ],
)
def test_a_training_checks_device_and_dtype(options: str, says: str) -> None:
    from stepnav.cli.train.training import TrainOptions

    name, value = options.removeprefix("--").split()
    with pytest.raises(ConfigError, match=says):
        TrainOptions(**{name: value}).for_stages()


def test_device_and_dtype_reach_the_training() -> None:
    pytest.importorskip("accelerate")
    from stepnav.cli.train.training import TrainOptions

    settings = TrainOptions(device="cpu", dtype="bfloat16").for_stages()["settings"]
    assert (settings.cpu, settings.bf16) == (True, True)
    settings = TrainOptions().for_stages()["settings"]
    assert (settings.cpu, settings.bf16) == (False, False)


def test_strategies_lists_all(capsys: pytest.CaptureFixture[str]) -> None:
    run("strategies")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(build.STRATEGIES)
    assert all(len(line.split()) > 3 for line in lines)


@pytest.mark.parametrize("name", build.STRATEGIES)
def test_strategies_tells_the_options_of_one(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    run("strategies", name)
    out = capsys.readouterr().out
    assert "arXiv" in out or "Source: " in out
    for option in build.strategy(name).known_options.values():
        default = "none" if option.default is None else str(option.default).lower()
        (line,) = [line for line in out.splitlines() if line.split()[:1] == [option.name]]
        assert line.endswith(f"[default: {default}]")
        if option.range is not None:
            assert str(option.range) in line
        for word in option.allowed or ():
            assert word in line
    run("strategies", name, "--json")
    record = json.loads(capsys.readouterr().out)
    assert all(option["help"] for option in record["options"].values())


def test_strategies_reads_a_file(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "from stepnav.search.cot import cot as base\n"
        "def search(tree, *, draws: int = 3):\n"
        '    """Draw thrice.\n\n    Args:\n      draws: how often.\n    """\n'
        "    return base(tree)\n"
    )
    run("strategies", f"{path}:search")
    out = capsys.readouterr().out
    assert "Draw thrice." in out
    assert "draws  whole number [default: 3]\n      how often." in out


def test_quiet_mutes_notes_and_verbose_logs(capsys: pytest.CaptureFixture[str]) -> None:
    log = logging.getLogger("stepnav")
    console.set_loudness(quiet=True, verbose=0)
    console.stderr().print("a note")
    log.warning("a warning")
    assert capsys.readouterr().err == ""
    console.set_loudness(quiet=False, verbose=1)
    assert (log.getEffectiveLevel(), log.isEnabledFor(logging.DEBUG)) == (logging.INFO, False)
    console.set_loudness(quiet=False, verbose=2)
    assert log.isEnabledFor(logging.DEBUG)
    console.stderr().print("a note")
    assert "a note" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="contradict each other"):
        console.set_loudness(quiet=True, verbose=1)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("stepnav s", ["solve", "show", "serve", "strategies"]),
        ("stepnav data r", ["rollouts"]),
        ("stepnav show --str", ["--strategy"]),
    ],
)
def test_shell_completion(words: str, expected: list[str]) -> None:
    asked = {"_STEPNAV_COMPLETE": "complete_bash", "COMP_WORDS": words}
    found = subprocess.run(
        [Path(sys.executable).with_name("stepnav")],
        env={**ENVIRONMENT, **asked, "COMP_CWORD": str(len(words.split()) - 1)},
        capture_output=True,
        text=True,
    )
    assert found.stdout.split() == expected, found.stderr


ARITHMETIC = ("arithmetic-dev-0-3", "arithmetic-dev-0-1")


def bench(*words: str, task: str = "arithmetic") -> None:
    run("bench", "--task", task, *words)


@pytest.mark.parametrize("form", ["commas", "file"])
def test_ids_pick_problems_in_their_order(form: str, tmp_path: Path) -> None:
    text = ",".join(ARITHMETIC)
    if form == "file":
        lines = ["\ufeff" + ARITHMETIC[0], ARITHMETIC[1], "", ARITHMETIC[0]]
        (tmp_path / "ids.txt").write_text("\n".join(lines), encoding="utf-8")
        text = f"@{tmp_path / 'ids.txt'}"
    found = pick(build.load_task("arithmetic"), parse_ids(text), "dev", 0, None)
    assert tuple(problem.id for problem in found) == ARITHMETIC


def test_a_problem_is_made_of_its_id_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    task = build.load_task("plain")
    ids = ["plain-dev-0-99999999", "plain-dev-0-20000"]
    began = time.monotonic()
    assert [problem.id for problem in pick(task, ids, "dev", 0, None)] == ids
    assert time.monotonic() - began < 5  # those before it would take minutes
    last = pick(task, ["plain-dev-0-4"], "dev", 0, None)
    assert last == task.load("dev", 5, 0, None)[4:]


def test_ids_of_a_file_are_found_though_a_draw_would_leave_them_out(tmp_path: Path) -> None:
    rows = [{"question": f"What is {n} + 1?", "answer": str(n + 1)} for n in range(40)]
    path = tmp_path / "own.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = pick(build.load_task(str(path)), ["own-39"], "test", 0, None)
    assert [problem.answer for problem in found] == ["40"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("bench --out o --ids arithmetic-dev-0-x", "has no problem 'arithmetic-dev-0-x'"),
        ("bench --out o --ids arithmetic-dev-1-0", r"its first is 'arithmetic-dev-0-0' \(seed 0\)"),
        ("bench --out o --ids arithmetic-test-0-0", "arithmetic/dev has no problem"),
        ("bench --out o --ids arithmetic-dev-0-007", "has no problem 'arithmetic-dev-0-007'"),
        ("bench --out o --ids arithmetic-dev-0-0 --data x", "leave --data out"),
        ("bench --out o --problems 99999999999", "makes at most 100,000 problems"),
        ("bench --out o --ids a --problems 3", "leave --problems out"),
        ("bench --out o --ids ,", "names no problem"),
        ("solve --ids a --hard 1", "leave --hard, --index and a text out"),
        ("solve --ids a text", "leave --hard, --index and a text out"),
        ("solve --ids a,b --page p.html", "shows one search, and this makes 2"),
    ],
)
def test_ids_that_cannot_be_used(words: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        run(*words.split())


def test_a_dry_run_tells_and_makes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**_: Any) -> None:
        raise AssertionError("a model was opened")

    monkeypatch.setattr(build, "open_models", fail)
    out = tmp_path / "run"
    words = ("--out", str(out), "--problems", "20", "--seeds", "2", "--dry-run")
    words += ("--strategies", "cot,self_consistency:samples=4,hgs", "--budgets", "100,1000")
    bench(*words, "--json")
    found = json.loads(capsys.readouterr().out)
    assert (found["searches"], found["done"], found["policy"]) == (2 * 3 * 20 * 2, 0, "arithmetic")
    rows = {(row["strategy"], row["budget"]): row for row in found["rows"]}
    solution = found["assumed"]["steps"] * found["assumed"]["step_tokens"]
    assert rows["cot", 1000]["policy_tokens"] == 40 * solution
    assert rows["self_consistency:samples=4", 1000]["policy_tokens"] == 40 * 4 * solution
    assert all(row["policy_tokens"] <= 40 * budget for (_, budget), row in rows.items())
    assert rows["hgs", 1000]["reward_tokens"] > 0 == rows["cot", 1000]["reward_tokens"]
    assert found["power"][0] == {"disagreement": 0.1, "smallest_difference": None}
    bench(*words[:3], "300", *words[4:], "--shard", "1/10")
    assert "that 300 problems show" in capsys.readouterr().out  # the merged run has them
    bench("--strategies", "rap:evaluation=likelihood", *words[:4], "--dry-run")
    assert "rap:evaluation=likelihood" in capsys.readouterr().out
    bench(*words[:3], "300", *words[4:])
    text = capsys.readouterr().out
    assert "3,600 searches of 300 problems (arithmetic/dev), 0 of them done" in text
    assert "policy arithmetic, reward arithmetic" in text
    assert "5.3 points if they decide 10% of the problems differently" in text
    monkeypatch.setitem(sys.modules, "scipy.stats", None)  # an install without the extra `bench`
    bench(*words)
    text = capsys.readouterr().out
    assert "240 searches of 20 problems" in text
    assert "points if" not in text
    assert not out.exists()


BROKEN = """
def bad(tree):
    raise KeyError("lost")
    yield
"""


def test_a_dry_run_tells_that_a_strategy_fails(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(BROKEN)
    words = ("--out", str(tmp_path / "run"), "--strategies", f"cot,{tmp_path}/mine.py:bad")
    with pytest.raises(ConfigError, match=r"bad fails on scripted models: .*KeyError"):
        bench(*words, "--dry-run")
    with pytest.raises(ConfigError, match=r"bad fails on scripted models: .*KeyError"):
        run("check", "--problems", "2", "--samples", "2", "--strategy", f"{tmp_path}/mine.py:bad")


def test_a_strategy_of_ones_own_is_named_as_it_is_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.py").write_text(BROKEN)
    run("strategies", f"{tmp_path}/mine.py:bad")
    assert f"{tmp_path}/mine.py:bad:NAME=VALUE" in "".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--hard 1 --index 2", "leave --index out"),
        ("--question-field q", "arithmetic knows its own"),
        ("--policy mine.py:policy --chat", "leave --chat and --shots out"),
        ("--policy ./own --chat", "prompt format of its own .*; leave --chat out"),
    ],
)
def test_options_that_would_do_nothing_are_refused(
    words: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("def policy(question, steps):\n    return '#### 4'\n")
    shutil.copytree(MODELS_FOLDER / "arithmetic-policy", tmp_path / "own")
    PolicyFormat().save(tmp_path / "own")
    with pytest.raises(ConfigError, match=says):
        run("solve", "--task", "arithmetic", "--strategy", "cot", *words.split())


def test_a_task_from_a_file_with_fields_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text('{"q": "What is 1 + 1?", "a": "2"}\n')
    words = ("--policy", "arithmetic", "--strategies", "cot", "--out", str(tmp_path / "run"))
    with pytest.raises(DataError, match="no text in the field 'question'; it has q, a"):
        bench(*words, task=str(path))
    fields = ("--question-field", "q", "--answer-field", "a")
    bench(*words, *fields, "--json", task=str(path))
    assert json.loads(capsys.readouterr().out)["rows"][0]["total"] == 1
    run("show", str(tmp_path / "run"), "--problem", "own-0", "--json")
    shown = json.loads(capsys.readouterr().out)
    assert shown["tree"]["problem"]["answer"] == "2"
    run("report", str(tmp_path / "run"), "--json")
    path.write_text('{"q": "What is 1 + 1?", "a": "3"}\n')
    with pytest.raises((ConfigError, JournalError), match="data_digest"):
        bench(*words, *fields, "--resume", task=str(path))


def test_plugins_of_each_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "from stepnav.search.cot import cot\n"
        "def search(tree, *, temperature: float = 0.0):\n"
        '    """Search as cot does."""\n'
        "    return (yield from cot(tree, temperature=temperature))\n"
        "def reward(problem, steps):\n    return [1.0 for _ in steps]\n"
        'def policy(problem, steps):\n    return "#### 42\\n"\n'
        'task = [{"question": "What is 40 + 2?", "answer": "42"}]\n'
    )
    plugins = {"task": "task", "policy": "policy", "reward": "reward", "strategy": "search"}
    words = [word for name, found in plugins.items() for word in (f"--{name}", f"{path}:{found}")]
    run("solve", *words, "--json")
    assert json.loads(capsys.readouterr().out)["correct"] is True
