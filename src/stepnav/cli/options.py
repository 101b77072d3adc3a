"""Options that several subcommands share."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from stepnav.core.errors import ConfigError
from stepnav.policies.openai.options import ServerOptions

_TASK_HELP = "Benchmark: arithmetic, plain, gsm8k, svamp, math500, micro-python, humaneval or mbpp."
Task = Annotated[str, typer.Option(help=_TASK_HELP)]
TypedTask = Annotated[
    str | None,
    typer.Option(help=f"{_TASK_HELP} [default: plain for a problem's text, else arithmetic]"),
]
Split = Annotated[str | None, typer.Option(help="Its split. [default: the task's own]")]
Data = Annotated[
    Path | None, typer.Option(help="Benchmark file or folder. [default: the hub, by name]")
]
Policy = Annotated[
    str | None,
    typer.Option(
        help="Who proposes: a shipped model (arithmetic, plain, micro-python), a model folder, or a "
        "server's URL. [default: the task's own]"
    ),
]
PolicyModel = Annotated[str | None, typer.Option(help="Name of the model on that server.")]
Reward = Annotated[
    str | None,
    typer.Option(
        help="Who scores: a shipped model (arithmetic, plain, micro-python), the folder or hub name of a reward "
        "model (docs/reward-models.md), FAMILY:FOLDER, likelihood:FOLDER, oracle, or execution (code: "
        "the public tests). [default: the task's own]"
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Same seed, same tree.")]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON; solve and show: one line per search.")
]
Device = Annotated[str, typer.Option(help="cpu or cuda.")]
Dtype = Annotated[
    str, typer.Option(help="float32 (same tree in any batch), bfloat16 or float16 (may overflow).")
]
Sandbox = Annotated[
    str,
    typer.Option(help="How programs are run: process, namespace, docker, or unsafe (not at all)."),
]
Shots = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Worked examples before the question, from the training split. [default: as the field shows a "
        "base model: gsm8k and svamp 5, math500 4, mbpp 3, else 0; 0 with --chat]",
    ),
]
Chat = Annotated[bool, typer.Option("--chat", help="Prompt with the model's chat template.")]

SERVER_VARIABLES: Mapping[str, str] = {
    "timeout": "STEPNAV_TIMEOUT",
    "concurrency": "STEPNAV_CONCURRENCY",
    "retries": "STEPNAV_RETRIES",
    "max_step_tokens": "STEPNAV_MAX_STEP_TOKENS",
    "max_solution_tokens": "STEPNAV_MAX_SOLUTION_TOKENS",
    "extra_body": "STEPNAV_EXTRA_BODY",
}
"""Option of a server -> the environment variable that stands in for it."""

KEY_VARIABLE = "OPENAI_API_KEY"

ApiKeyEnv = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help=f"Server: the environment variable that holds its API key. [default: {KEY_VARIABLE}]",
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option(
        envvar=SERVER_VARIABLES["timeout"],
        help=f"Server: most seconds of one request. [default: {ServerOptions().timeout_s:g}]",
    ),
]
Concurrency = Annotated[
    int | None,
    typer.Option(
        envvar=SERVER_VARIABLES["concurrency"],
        help="Server: most requests at once. [default: as many as searches run at once]",
    ),
]
Retries = Annotated[
    int | None,
    typer.Option(
        envvar=SERVER_VARIABLES["retries"],
        help=f"Server: tries again of one request. [default: {ServerOptions().max_retries}]",
    ),
]
MaxStepTokens = Annotated[
    int | None,
    typer.Option(
        envvar=SERVER_VARIABLES["max_step_tokens"],
        help=f"Server: most tokens of a step. [default: {ServerOptions().max_step_tokens}]",
    ),
]
MaxSolutionTokens = Annotated[
    int | None,
    typer.Option(
        envvar=SERVER_VARIABLES["max_solution_tokens"],
        help=f"Server: most tokens of a solution. [default: {ServerOptions().max_solution_tokens}]",
    ),
]
ExtraBody = Annotated[
    str | None,
    typer.Option(
        envvar=SERVER_VARIABLES["extra_body"],
        metavar="JSON",
        help="""Server: fields to add to every request, as in '{"top_k": 20}'.""",
    ),
]

LabelFormat = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="prm800k, math-shepherd, stepwise (TRL's) or mutation. [default: told by the rows]",
    ),
]
LabelKinds = Annotated[
    str | None,
    typer.Option(
        help="What stepwise labels are: rating (-1, 0, 1), correct (right or wrong) or value (in [0, 1]). "
        "[default: told by the labels]"
    ),
]
ExcludeProblems = Annotated[
    Path | None,
    typer.Option(
        help="Leave out the problems in this file: rows of a benchmark or of labelled data, or lines."
    ),
]
LeaveOut = Annotated[
    str | None,
    typer.Option(
        help="Of PRM800K, comma-separated: quality_control, screening, bad_problem, give_up (sessions), "
        "flagged (alternatives). [default: nothing]"
    ),
]


def label_arguments(options: dict[str, Any]) -> dict[str, Any]:
    """Take the four options above out of a subcommand's; return them as the label reader's arguments."""
    parts = (part.strip() for part in (options.pop("leave_out") or "").split(","))
    return {
        "format": options.pop("form"),
        "kind": options.pop("labels"),
        "exclude": options.pop("exclude_problems"),
        "leave_out": tuple(part for part in parts if part),
    }


def with_server(values: dict[str, Any]) -> dict[str, Any]:
    """Return a subcommand's arguments with one record in the place of all that is about a server.

    Raises:
      ConfigError: a value cannot be used, or the policy is on no server.
    """
    rest = arguments(values)
    given = {name: rest.pop(name) for name in SERVER_VARIABLES}
    key_name = rest.pop("api_key_env")
    policy = rest["policy"]
    if policy is None or not policy.startswith(("http://", "https://")):
        named = [name for name, variable in SERVER_VARIABLES.items() if variable not in os.environ]
        used = [name for name in named if given[name] is not None]
        used += ["api_key_env"] * (key_name is not None)
        if used:
            option = "--" + used[0].replace("_", "-")
            raise ConfigError(f"{option} is for a server; --policy must be its URL")
        return {**rest, "server": ServerOptions()}
    concurrency = given["concurrency"]
    fields = {
        "api_key": _api_key(key_name),
        "max_concurrency": rest.get("active") if concurrency is None else concurrency,
        "timeout_s": given["timeout"],
        "max_retries": given["retries"],
        "max_step_tokens": given["max_step_tokens"],
        "max_solution_tokens": given["max_solution_tokens"],
        "extra_body": None if given["extra_body"] is None else _fields_of(given["extra_body"]),
    }
    known = {name: value for name, value in fields.items() if value is not None}
    return {**rest, "server": ServerOptions(**known)}


def _api_key(name: str | None) -> str | None:
    if name is not None and not os.environ.get(name, "").strip():
        is_name = re.fullmatch(r"[A-Za-z_]\w*", name) is not None  # else it may be the key itself
        raise ConfigError(
            f"--api-key-env must name an environment variable that holds an API key, and "
            f"{name if is_name else 'this'} {'holds none' if is_name else 'is no such name'}; leave "
            f"the option out to take {KEY_VARIABLE}"
        )
    return os.environ.get(name or KEY_VARIABLE, "").strip() or None


def _fields_of(text: str) -> dict[str, Any]:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"the extra body (--extra-body) is not JSON ({error})") from None
    if not isinstance(fields, dict):
        raise ConfigError(f"the extra body (--extra-body) must be a JSON object (got {text!r})")
    return fields


def arguments(values: dict[str, Any]) -> dict[str, Any]:
    """Return a subcommand's arguments from its `locals()`."""
    return {name: value for name, value in values.items() if name != "command"}
