"""Rules as reward models: "execution", "equations"; with "+NAME" they may overrule a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepnav.core.backend import Backend
from stepnav.core.errors import ConfigError
from stepnav.tasks.task import Task

if TYPE_CHECKING:
    from stepnav.rewards.scripted import ScriptedReward

RULES = ("execution", "equations")


def split_rule(name: str) -> tuple[str, str]:
    """Return the rule and the model of a reward's name; either may be empty.

    Example:
      >>> split_rule("equations+./my-prm"), split_rule("equations"), split_rule("./my-prm")
      (('equations', './my-prm'), ('equations', ''), ('', './my-prm'))
    """
    rule, plus, model = name.partition("+")
    if rule not in RULES or (plus and not model):
        return "", name
    return rule, model


def check_rule(rule: str, task: Task) -> None:
    """Refuse a rule that says nothing about the task's solutions.

    Raises:
      ConfigError: it is for programs and these are none, or the other way round.
    """
    from stepnav.build.tasks import CODE_TASKS

    if rule == "execution" and task.code is None:
        raise ConfigError(
            f"{task.name} has no programs to run; --reward execution is for "
            f"{', '.join(sorted(CODE_TASKS))}"
        )
    if rule == "equations" and task.code is not None:
        raise ConfigError(
            f"solutions of {task.name} are programs, which state no equations; "
            "--reward execution is for them"
        )


def ruled(rule: str, task: Task | None, reward: Backend) -> Backend:
    """Return a reward model that a rule may overrule; the model itself without a rule."""
    if not rule:
        return reward
    from stepnav.rewards.vetoed import Vetoed

    return Vetoed(open_rule(rule, task), reward)


def open_rule(rule: str, task: Task | None) -> ScriptedReward:
    """Return a rule as a reward model; it was checked (`check_rule`)."""
    if rule == "equations":
        from stepnav.answers.equations import equations_hold
        from stepnav.rewards.equations import EquationsReward

        return EquationsReward(equations_hold)
    from stepnav.rewards.execution import ExecutionReward

    assert task is not None and task.code is not None, "the names were not checked"
    return ExecutionReward(task.code.parses_so_far, task.code.passes_public)
