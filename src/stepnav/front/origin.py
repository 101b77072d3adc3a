"""What a run's results come from: models and code by their digests, where they are here."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

from stepnav import build
from stepnav.build.plugins import split_file
from stepnav.build.rules import split_rule
from stepnav.core.errors import ConfigError
from stepnav.measure.prm.scores import folder_digest
from stepnav.remote.options import ServerOptions
from stepnav.rewards.measured import FILE_NAME as MEASURED_NAME
from stepnav.rewards.measured import read_rows

PLAIN = (str, int, float, bool, type(None))
"""What a function may hold that says all of itself."""


def made_for(task: str, policy: str | None, reward: str | None) -> dict[str, Any]:
    """Return the task and the models of a run, with the digests of those whose files are here."""
    return {
        "task": task,
        "policy": policy,
        "policy_digest": None if policy is None else _digest(build.policy_folder, policy),
        "reward": reward,
        "reward_digest": None if reward is None else _digest(build.reward_folder, reward),
    }


def rated_by(folder: Path) -> set[str]:
    """Return the digests that a reward model's folder has, and had while its scores were these.

    The map of P(right) that may lie in it changes none.
    """
    bare = folder_digest(folder, without=MEASURED_NAME)
    known = {folder_digest(folder), bare}
    for row in read_rows(folder).values():
        if row.get("weights_digest") == bare:  # the run that the map there was fitted on
            known.add(row["reward_digest"])
    return known


def digests(policy: str | None, reward: str | None, *others: str) -> dict[str, str]:
    """Return the digests of the files that a run's models and code are, of those that are here.

    A model is its files, and a strategy of one's own is its code: a run goes on with no others.

    Args:
      policy, reward: the models.
      others: what else may be `FILE.py:NAME`.
    """
    made = made_for("", policy, reward)
    found = {name: made[name] for name in ("policy_digest", "reward_digest") if made[name]}
    for parts in map(split_file, (policy or "", split_rule(reward or "")[1], *others)):
        if parts is not None:
            content = parts[0].read_bytes()
            found[f"digest of {parts[0].name}"] = blake2b(content, digest_size=16).hexdigest()
    return found


def _digest(folder_of: Callable[[str], Path | None], name: str) -> str | None:
    """Return the digest of a model's files; None if they are on a server, or it has none."""
    try:
        folder = folder_of(name)
    except ConfigError:  # its name was checked: an oracle, a judge, a server, a function
        return None
    return None if folder is None else folder_digest(folder)


MAX_DEPTH = 3
"""Functions are looked for in what functions hold, so many deep: objects may hold each other."""


def function_digest(function: Any, depth: int = MAX_DEPTH) -> str | None:
    """Return the digest of a function's code and of the plain values that it holds.

    It holds its defaults, what it closes over, and those attributes of the object that it is a
    method of, or that is called, that are named as what the object was made with; others, a counter
    of calls, may change while it is used. None of what has no code of its own. What it reads
    elsewhere, its globals among it, is not seen.
    """
    held: dict[str, Any] = {}
    if isinstance(function, partial):
        held = {**{str(at): item for at, item in enumerate(function.args)}, **function.keywords}
        function = function.func
    owner = getattr(function, "__self__", None)
    if not hasattr(function, "__code__") and not hasattr(function, "__func__"):
        owner, function = function, type(function).__call__ if callable(function) else None
    function = inspect.unwrap(getattr(function, "__func__", function))
    code = getattr(function, "__code__", None)
    if code is None:
        return None
    try:
        text = inspect.getsource(function)
    except (OSError, TypeError):
        text = code.co_code.hex()
    held |= inspect.getclosurevars(function).nonlocals
    held |= {f"default {at}": item for at, item in enumerate(function.__defaults__ or ())}
    held |= {f"default {name}": item for name, item in (function.__kwdefaults__ or {}).items()}
    held |= {f"self.{name}": item for name, item in _attributes(owner).items()}
    values = sorted((str(name), _plain(value, depth)) for name, value in held.items())
    return blake2b(f"{text}{values}".encode(errors="replace"), digest_size=16).hexdigest()


def _attributes(owner: Any) -> dict[str, Any]:
    """Return the attributes named as parameters of what made the object, `_name` for `name` too."""
    try:
        given = inspect.signature(type(owner).__init__).parameters
    except (TypeError, ValueError):  # made by code that is not Python's
        return {}
    names = [name for parameter in given for name in (parameter, f"_{parameter}")]
    return {name: getattr(owner, name) for name in names if hasattr(owner, name)}


def _plain(value: Any, depth: int) -> str:
    """Return a value, or what is known of it."""
    if isinstance(value, PLAIN):
        return repr(value)
    digest = function_digest(value, depth - 1) if depth else None
    return digest or str(type(value))


def option_settings(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return those options of models that can change a result, for the record of a run."""
    found: dict[str, Any] = {}
    for name, value in options.items():
        if isinstance(value, ServerOptions):
            found |= {f"{name}.{key}": item for key, item in value.result_settings().items()}
        elif name in ("policy_model", "dtype", "chat") and value is not None:
            found[name] = value
    return found
