"""Judges by name: "judge" is the run's policy, "judge:NAME" another model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stepnav.build.folders import is_server
from stepnav.build.policies import open_policy
from stepnav.core.backend import Backend
from stepnav.remote.options import ServerOptions
from stepnav.tasks.task import Task

if TYPE_CHECKING:
    from stepnav.rewards.judge import Read

READS: Mapping[str, Read] = {"judge": "answer", "judge-logprob": "logprob"}


@dataclass(frozen=True, slots=True)
class Judge:
    """A judge's name, taken apart.

    Attributes:
      model: who is asked; empty is the run's policy.
      read: as of `JudgeReward`.
    """

    model: str
    read: Read


def as_judge(name: str | None) -> Judge | None:
    """Return the judge that a reward's name stands for, None if for none."""
    kind, _, model = (name or "").partition(":")
    return Judge(model, READS[kind]) if kind in READS else None


def open_judge(
    judge: Judge,
    policy: Backend,
    task: Task,
    local: Mapping[str, Any],
    server: ServerOptions | None,
) -> tuple[Backend, Backend]:
    """Return the policy and the judge, which are one model if the judge names none.

    A server that is named is asked as a chat.

    Raises:
      ConfigError, BackendError: as `open_policy`.
    """
    from stepnav.policies.shared import SharedBackend
    from stepnav.rewards.judge import JudgeReward

    if judge.model:
        model = open_policy(
            judge.model,
            task,
            chat=is_server(judge.model),
            local=local,
            server=server,
            wants_logprobs=judge.read == "logprob",
        )
        return policy, JudgeReward(model, read=judge.read)
    shared = SharedBackend(policy)
    return shared.port(), JudgeReward(shared.port(), read=judge.read)
