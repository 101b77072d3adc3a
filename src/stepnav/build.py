"""The only place where names become objects: strategies, tasks, policies, reward models.

Each kind is one literal table. Modules are imported when their name is asked for, so that looking
a name up costs nothing.
"""

from __future__ import annotations

import inspect
import math
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from stepnav.core.backend import Backend
from stepnav.core.errors import ConfigError, nearest
from stepnav.core.outcome import SearchResult
from stepnav.core.records import Problem
from stepnav.core.requests import Program
from stepnav.core.tree import Tree
from stepnav.engine.hub import fetch_model, is_hub_name
from stepnav.tasks.splits import check_split
from stepnav.tasks.task import Loader, Task

if TYPE_CHECKING:
    from stepnav.tasks.code_task import Programs

STRATEGIES: Mapping[str, str] = {
    "cot": "stepnav.search.cot",
    "self_consistency": "stepnav.search.self_consistency",
    "best_of_n": "stepnav.search.best_of_n",
    "weighted_vote": "stepnav.search.weighted_vote",
    "beam": "stepnav.search.beam",
    "hgs": "stepnav.search.hgs",
}
"""Strategy -> module that holds a function of the same name."""

NEEDS_REWARD = frozenset({"best_of_n", "weighted_vote", "beam", "hgs"})

TASKS: Mapping[str, str] = {
    "arithmetic": "stepnav.tasks.arithmetic",
    "plain": "stepnav.tasks.plain",
    "gsm8k": "stepnav.tasks.gsm8k",
    "svamp": "stepnav.tasks.svamp",
    "math500": "stepnav.tasks.math500",
    "humaneval": "stepnav.tasks.humaneval",
    "mbpp": "stepnav.tasks.mbpp",
    "micro-python": "stepnav.tasks.micro_python",
}

CODE_TASKS = frozenset({"humaneval", "mbpp", "micro-python"})
"""Tasks whose answers are programs, graded in the sandbox."""

EMBEDDED_TASKS = frozenset({"arithmetic", "plain", "micro-python"})
"""Tasks that make their own problems."""

RESERVE_SHARE = 0.25
"""Share of a limited policy-token budget that step searches keep back for their fallback."""

_RANGES: Mapping[str, tuple[float, float]] = {
    "temperature": (0, 100),
    "top_p": (1e-6, 1),
    "reserve_tokens": (0, math.inf),
}
"""What a numeric option may be; at least 1 where nothing is said."""

_GIVEN = frozenset({"tree", "extract"})
"""Arguments of strategies that are not options."""


@dataclass(frozen=True, slots=True)
class StrategyChoice:
    """A strategy with its options, as named on the command line.

    Attributes:
      name: key of `STRATEGIES`.
      options: only those that were set.
      label: the text it was named by.
    """

    name: str
    options: Mapping[str, Any]
    label: str


def strategy_options(name: str) -> dict[str, inspect.Parameter]:
    """Return the options of a strategy with their types and defaults.

    Raises:
      ConfigError: there is no such strategy.
    """
    function = _strategy(name)
    hints = typing.get_type_hints(function)
    return {
        parameter.name: parameter.replace(annotation=hints[parameter.name])
        for parameter in inspect.signature(function).parameters.values()
        if parameter.name not in _GIVEN
    }


def parse_strategy(text: str) -> StrategyChoice:
    """Return the strategy named by `NAME` or `NAME:OPTION=VALUE:OPTION=VALUE`.

    Raises:
      ConfigError: an unknown strategy or option, or a value of the wrong type.
    Example:
      >>> parse_strategy("hgs:children=4").options
      {'children': 4}
    """
    name, *settings = text.strip().split(":")
    known = strategy_options(name)
    options: dict[str, Any] = {}
    for setting in settings:
        option, equals, value = setting.partition("=")
        if not equals:
            raise ConfigError(f"{setting!r} in {text!r} must read OPTION=VALUE")
        if option not in known:
            raise ConfigError(
                f"{name} has no option {option!r}{nearest(option, list(known))}; "
                f"its options are {', '.join(known)}"
            )
        options[option] = _parse_value(f"{name}.{option}", value, known[option].annotation)
    return StrategyChoice(name, options, text.strip())


def resolve_options(
    choice: StrategyChoice, budget_tokens: int | None, *, temperature: float | None = None
) -> dict[str, Any]:
    """Return every option of a strategy for one budget.

    Under a limited budget, sampling strategies draw until it is spent, and step searches keep
    `RESERVE_SHARE` of it for their fallback, unless the user has set these options.

    Args:
      choice: the strategy and what the user has set.
      budget_tokens: limit on the policy tokens, None for no limit.
      temperature: the task's own default, None for the strategy's.
    """
    resolved = {
        name: parameter.default for name, parameter in strategy_options(choice.name).items()
    }
    if budget_tokens is not None:
        if "samples" in resolved:
            resolved["samples"] = None
        if "reserve_tokens" in resolved:
            resolved["reserve_tokens"] = int(RESERVE_SHARE * budget_tokens)
    if temperature is not None and "temperature" in resolved:
        resolved["temperature"] = temperature
    resolved.update(choice.options)
    return resolved


def start_strategy(
    name: str, options: Mapping[str, Any], extract: Callable[[str], str | None]
) -> Callable[[Tree], Program]:
    """Return what makes a program of a tree."""
    function = _strategy(name)
    given = {"extract": extract} if "extract" in inspect.signature(function).parameters else {}

    def start(tree: Tree) -> Program:
        return function(tree, **options, **given)  # type: ignore[no-any-return]

    return start


def load_task(name: str, *, sandbox: str = "process") -> Task:
    """Return a benchmark.

    Args:
      name: key of `TASKS`.
      sandbox: level at which a code task runs programs.

    Raises:
      ConfigError: there is no such benchmark.
    """
    module = import_module(_look_up("task", name, TASKS))
    if name in CODE_TASKS:
        return _code_task(name, module, sandbox)
    if name in EMBEDDED_TASKS:
        return Task(
            name=name,
            splits=module.SPLITS,
            default_split="dev",
            prompt_template=module.PROMPT_TEMPLATE,
            chat_template=None,
            answer_pattern=None,
            load=_embedded_loader(name, module),
            extract=module.extract,
            grade=lambda problem, answer: answer is not None and answer == problem.answer,
            rate_steps=lambda problem, steps: [v.rating for v in module.rate_steps(problem, steps)],
            ask=getattr(module, "ask", None),
            temperature=getattr(module, "TEMPERATURE", None),
        )
    verdicts = {"equal": True, "different": False, "timeout": None}
    return Task(
        name=name,
        splits=module.BENCHMARK.splits,
        default_split="test",
        prompt_template=module.PROMPT_TEMPLATE,
        chat_template=module.CHAT_TEMPLATE,
        answer_pattern=r"####\s*\S|\\boxed\{",
        load=lambda split, count, seed, path: module.load(split, count, seed, path=path),
        extract=module.extract,
        grade=lambda problem, answer: verdicts[module.grade(problem, answer)],
    )


def load_programs(name: str, data: Path | None) -> Programs:
    """Return the problems of a code task for grading samples, those of all splits.

    Raises:
      ConfigError: no such task, or one whose answers are no programs.
      DataError: the benchmark's file is missing or broken.
    """
    if name not in CODE_TASKS:
        raise ConfigError(
            f"{name!r} is no code task{nearest(name, sorted(CODE_TASKS))}; "
            f"samples can be graded for {', '.join(sorted(CODE_TASKS))}"
        )
    from stepnav.tasks.code_task import Programs, named_programs

    module = import_module(TASKS[name])
    if name in EMBEDDED_TASKS:
        if data is not None:
            raise ConfigError(f"the {name} task makes its own problems; leave --data out")
        return Programs(name, module.find, module.after_prompt, module.suite_of, None)
    problems = [
        problem for split in module.BENCHMARK.splits for problem in module.load(split, path=data)
    ]
    return named_programs(name, module, problems)


@dataclass(slots=True)
class Models:
    """The backends of a run; a context manager that closes them.

    Attributes:
      policy: proposes.
      reward: scores; None if nothing is to be scored.
      notes: what the user should know, one line each, for instance what a server ignores.
    """

    policy: Backend
    reward: Backend | None
    notes: list[str]

    def __enter__(self) -> Models:
        return self

    def __exit__(self, *error: object) -> None:
        self.policy.close()
        if self.reward is not None:
            self.reward.close()


def open_models(
    *,
    policy: str,
    reward: str | None,
    task: Task,
    policy_model: str | None = None,
    device: str = "cpu",
    dtype: str = "float32",
    chat: bool = False,
    max_batch: int = 64,
) -> Models:
    """Return the policy and the reward model of a run.

    Args:
      policy: a shipped model, a model folder, or the URL of an OpenAI-compatible server.
      reward: a shipped model, a folder or hub name of a reward model of any family
        (`rewards/families.py`), "FAMILY:FOLDER" where its files cannot tell, "likelihood:FOLDER",
        "oracle", "execution" (code tasks: the public tests), or None.
      task: gives the prompt of models that have none of their own, and the oracle.
      policy_model: the model's name on the server.
      device, dtype: for models in this process.
      chat: whether the question goes through the model's chat template.
      max_batch: most sequences in one pass.
    Raises:
      ConfigError: a name, folder or combination that cannot be used.
      BackendError: the server does not answer.
    """
    check_device(device)
    local = {"device": device, "dtype": dtype, "max_batch": max_batch}
    scorer = None if reward is None else _open_reward(reward, task, local)
    notes: list[str] = []
    if policy.startswith(("http://", "https://")):
        proposer, notes = _open_server(policy, policy_model, task, chat, max_batch)
    elif policy_model is not None:
        raise ConfigError("--policy-model names a model on a server; --policy must be its URL")
    else:
        proposer = _open_local(policy, task, chat, local)
    return Models(proposer, scorer, notes)


def doubt_of(policy: Backend, problem: Problem, result: SearchResult) -> str | None:
    """Return why a search's answer should not be trusted; None where nothing speaks against it, or nobody knows.

    Only a policy in this process with what it knows saved beside its weights can tell (`policies/local/known.py`).
    """
    from stepnav.policies.local import LocalPolicy

    return policy.doubt(problem, result) if isinstance(policy, LocalPolicy) else None


def open_reward(
    name: str, *, device: str = "cpu", dtype: str = "float32", max_batch: int = 64
) -> Backend:
    """Return a reward model that needs no task.

    Args:
      name: as in `open_models`; not "oracle" or "execution".
      device, dtype, max_batch: as in `open_models`.
    Raises:
      ConfigError: a name or folder that cannot be used.
    """
    check_device(device)
    _refuse_tasks_own(name)
    local = {"device": device, "dtype": dtype, "max_batch": max_batch}
    return _open_reward(name, None, local)


def reward_folder(name: str) -> Path:
    """Return the folder of a reward model's weights: a shipped one, or the user's own.

    Raises:
      ConfigError: there is no such folder.
    """
    from stepnav.rewards.families import split_family

    _refuse_tasks_own(name)
    kind, _, rest = name.partition(":")
    if kind == "likelihood":
        return _model_folder("policy", rest)
    return _model_folder("prm", split_family(name)[1])


def reward_family(name: str) -> str:
    """Return the family of a reward model, a key of `FAMILIES`, as `open_reward` takes it.

    Raises:
      ConfigError: there is no such folder, or the family cannot be told.
    """
    from stepnav.rewards.families import read_checkpoint, recognise, split_family

    family, rest = split_family(name)
    return family or recognise(read_checkpoint(reward_folder(name), _hub_name(rest)))


def policy_folder(name: str) -> Path | None:
    """Return the folder of a policy's weights; None if it is on a server.

    Raises:
      ConfigError: there is no such folder.
    """
    if name.startswith(("http://", "https://")):
        return None
    return _model_folder("policy", name)


def _refuse_tasks_own(name: str) -> None:
    if name in ("oracle", "execution"):
        raise ConfigError(
            f"{name!r} is of a task, and there is none here; name a shipped model, a model folder, a hub "
            "name, FAMILY:FOLDER or likelihood:FOLDER"
        )


def check_device(device: str) -> None:
    """Refuse a device that no model could be put on.

    Raises:
      ConfigError: it has another name, or there is no CUDA device here.
    """
    if re.fullmatch(r"auto|cpu|cuda(:\d+)?", device) is None:
        raise ConfigError(f"the device must be cpu, cuda, cuda:NUMBER or auto (got {device!r})")
    if device.startswith("cuda") and find_spec("torch") is not None:
        import torch

        if not torch.cuda.is_available():
            raise ConfigError("there is no CUDA device that torch can use; leave --device out")


def _open_local(name: str, task: Task, chat: bool, local: Mapping[str, Any]) -> Backend:
    from stepnav.policies.local import LocalPolicy, PolicyFormat
    from stepnav.policies.local.prompt import FILE_NAME

    folder = _model_folder("policy", name)
    format_ = None
    if not (folder / FILE_NAME).exists():
        format_ = PolicyFormat(
            prompt_template=(task.chat_template if chat else None) or task.prompt_template,
            answer_pattern=_answer_pattern(task, chat),
            is_chat=chat,
        )
    return LocalPolicy(folder, format=format_, **local)


def _open_server(
    url: str, model: str | None, task: Task, chat: bool, max_concurrency: int
) -> tuple[Backend, list[str]]:
    from stepnav.policies.openai import OpenAIPolicy

    policy = OpenAIPolicy(
        url,
        model,
        api="chat" if chat else "auto",
        prompt_template=task.prompt_template,
        chat_template=task.chat_template,
        answer_pattern=_answer_pattern(task, chat),
        max_concurrency=max_concurrency,
    )
    return policy, policy.fallbacks


def _answer_pattern(task: Task, chat: bool) -> str | None:
    return (task.chat_answer_pattern if chat else None) or task.answer_pattern


def _open_reward(name: str, task: Task | None, local: Mapping[str, Any]) -> Backend:
    if name == "oracle":
        from stepnav.rewards.oracle import OracleReward

        assert task is not None, "without a task there is no oracle"
        if task.rate_steps is None:
            raise ConfigError(f"{task.name} has no exact step checker, so it has no oracle")
        return OracleReward(task.rate_steps)
    if name == "execution":
        from stepnav.rewards.execution import ExecutionReward

        assert task is not None, "without a task there are no programs"
        if task.code is None:
            raise ConfigError(
                f"{task.name} has no programs to run; --reward execution is for "
                f"{', '.join(sorted(CODE_TASKS))}"
            )
        return ExecutionReward(task.code.parses_so_far, task.code.passes_public)
    if name.startswith("likelihood:"):
        from stepnav.rewards.likelihood import LikelihoodReward

        return LikelihoodReward(_model_folder("policy", name.partition(":")[2]), **local)
    from stepnav.rewards.families import open_checkpoint, split_family

    family, rest = split_family(name)
    folder = _model_folder("prm", rest)
    return open_checkpoint(folder, name=_hub_name(rest), family=family, **local)


def _hub_name(name: str) -> str:
    return name if is_hub_name(name) else ""


def choose_models(
    task: Task, choices: Sequence[StrategyChoice], policy: str | None, reward: str | None
) -> tuple[str, str | None]:
    """Return the names of a run's models: those given, else those that ship for the task.

    Args:
      task: what is to be solved.
      choices: the run's strategies; where none of them scores, there is no reward model.
      policy, reward: what the user named, if anything.
    Raises:
      ConfigError: nothing was named and nothing ships.
    """
    needs_reward = any(choice.name in NEEDS_REWARD for choice in choices)
    return (
        policy or _shipped_model(task, "policy"),
        (reward or _shipped_model(task, "prm")) if needs_reward else None,
    )


def _shipped_model(task: Task, kind: Literal["policy", "prm"]) -> str:
    from stepnav.zoo import MODELS_FOLDER

    if not (MODELS_FOLDER / f"{task.name}-{kind}").is_dir():
        option, noun = ("policy", "policy") if kind == "policy" else ("reward", "reward model")
        raise ConfigError(f"no {noun} ships for the task {task.name}; name one with --{option}")
    return task.name


def _model_folder(kind: str, name: str) -> Path:
    """Return the folder of a shipped model, of the user's own, or of one fetched from the hub."""
    from stepnav.zoo import MODELS_FOLDER

    shipped = MODELS_FOLDER / f"{name}-{kind}"
    if "/" not in name and shipped.is_dir():
        return shipped
    folder = Path(name)
    if not folder.is_dir() and is_hub_name(name):
        return fetch_model(name)
    if not folder.is_dir():
        suffix = f"-{kind}"
        names = [p.name.removesuffix(suffix) for p in MODELS_FOLDER.glob(f"*{suffix}")]
        raise ConfigError(
            f"no model folder {name!r}{nearest(name, names)}; give a folder made by "
            f"save_pretrained, a hub name, or a shipped model: {', '.join(sorted(names)) or 'none'}"
        )
    return folder


def _code_task(name: str, module: types.ModuleType, sandbox: str) -> Task:
    from stepnav.tasks.code_task import make_code_task
    from stepnav.tasks.program_checker import shared_checker

    is_embedded = name in EMBEDDED_TASKS
    return make_code_task(
        name,
        module,
        lambda: shared_checker(sandbox),
        splits=module.SPLITS if is_embedded else module.BENCHMARK.splits,
        default_split="dev" if is_embedded else "test",
        load=_embedded_loader(name, module)
        if is_embedded
        else lambda split, count, seed, path: module.load(split, count, seed, path=path),
    )


def _embedded_loader(name: str, module: types.ModuleType) -> Loader:
    def load(split: str, count: int | None, seed: int, path: Path | None) -> list[Problem]:
        if path is not None:
            raise ConfigError(f"the {name} task makes its own problems; leave --data out")
        check_split(name, split, module.SPLITS)
        problems: list[Problem] = module.load(split, 300 if count is None else count, seed)
        return problems

    return load


def _strategy(name: str) -> Callable[..., Any]:
    module = import_module(_look_up("strategy", name, STRATEGIES))
    return getattr(module, name)  # type: ignore[no-any-return]


def _look_up(kind: str, name: str, table: Mapping[str, str]) -> str:
    if name not in table:
        raise ConfigError(
            f"no {kind} is called {name!r}{nearest(name, list(table))}; "
            f"there are: {', '.join(table)}"
        )
    return table[name]


def _parse_value(name: str, text: str, annotation: Any) -> Any:
    """Return an option's value read as the type of its annotation."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        kinds = [kind for kind in typing.get_args(annotation) if kind is not type(None)]
        if text.lower() == "none":
            return None
        return _parse_value(name, text, kinds[0])
    if typing.get_origin(annotation) is Literal:
        allowed = [str(value) for value in typing.get_args(annotation)]
        if text not in allowed:
            raise ConfigError(
                f"{name} must be one of {', '.join(allowed)} (got {text!r}){nearest(text, allowed)}"
            )
        return text
    try:
        value = annotation(text)
    except ValueError:
        kind = "a whole number" if annotation is int else "a number"
        raise ConfigError(f"{name} must be {kind} (got {text!r})") from None
    low, high = _RANGES.get(name.rpartition(".")[2], (1, math.inf))
    if not low <= value <= high:
        wanted = f"at least {low}" if high == math.inf else f"between {low} and {high}"
        raise ConfigError(f"{name} must be {wanted} (got {text})")
    return value
