"""Judges by name: "judge" is the run's policy, "judge:NAME" another model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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


def open_served_judge(
    judge: Judge, task: Task, model: str | None, server: ServerOptions
) -> Backend:
    """Return a judge that is a model on a server, where it is asked as a chat.

    Args:
      judge: its model is a URL.
      task: as of `open_policy`.
      model: its name there; None takes the only one.
      server: how to use its server; nothing that is meant for the policy's.
    Raises:
      ConfigError, BackendError: as `open_policy`.
    """
    from stepnav.rewards.judge import JudgeReward

    wants_logprobs = judge.read == "logprob"
    asked = open_policy(
        judge.model, task, model, chat=True, local={}, server=server, wants_logprobs=wants_logprobs
    )
    return JudgeReward(asked, read=judge.read)


def open_judge(
    judge: Judge, policy: Backend, task: Task, local: Mapping[str, Any]
) -> tuple[Backend, Backend]:
    """Return the policy and the judge, which are one model if the judge names none.

    Args:
      judge: on no server of its own.
      policy: the run's.
      task, local: as of `open_policy`.
    Raises:
      ConfigError: as `open_policy`.
    """
    from stepnav.policies.shared import SharedBackend
    from stepnav.rewards.judge import JudgeReward

    if judge.model:
        model = open_policy(judge.model, task, chat=False, local=local)
        return policy, JudgeReward(model, read=judge.read)
    shared = SharedBackend(policy)
    return shared.port(), JudgeReward(shared.port(), read=judge.read)
