"""What the recipe needs to know of a task with shipped models; each has a module beside this."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from stepnav.core.records import Problem
from stepnav.labels.records import StepRecord
from stepnav.policies.local.prompt import PolicyFormat
from stepnav.zoo.scale import Scale

Count = Callable[[int, int], None]
"""(done, in all)."""

RecipeProgress = Callable[[str, int, int, "float | None"], None]
"""(stage, done, in all, loss or share of right samples; None where there is no such value)."""


class Sampler(Protocol):
    """Draws solutions from the policy."""

    def __call__(self, problems: Sequence[Problem], progress: Count) -> list[list[str]]:
        """Return the solutions of each problem."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Labelled solutions of held-out problems, which a reward model is measured on.

    Attributes:
      name: what they are.
      records: the solutions.
      kinds: what each of them is told apart by in a table of its own; None for no such table.
    """

    name: str
    records: Sequence[StepRecord]
    kinds: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Cards:
    """A domain's own sentences of the two model cards; figures are put in by `cards.py`.

    Attributes:
      policy: what the policy is.
      prm: what the reward model is.
      data: the problems.
      labels: where the reward model's labels come from; may hold "{solutions}", "{steps}",
        "{searches}" and "{temperatures}".
      held_out: title of each set that the reward model is measured on.
      limits: what the models cannot do.
    """

    policy: str
    prm: str
    data: str
    labels: str
    held_out: Mapping[str, str]
    limits: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Domain:
    """A task with a policy and a reward model of its own.

    Attributes:
      name: the task's; the models are called NAME-policy and NAME-prm.
      scales: sizes of the recipe by name.
      prompt_template: what the models are shown; holds "{question}".
      separator: what ends a step.
      token_pattern: what the tokenizer's words are.
      problem: makes the problem of an id, which is NAME-SPLIT-SEED-INDEX.
      question: gives the question of an id; quicker than `problem`.
      solve: gives the reference solution of an id, step by step.
      load: (split, count, seed) to problems.
      grade: (problems, solutions) to whether each solution is right.
      label: (problems, sampler, seed, progress) to labelled solutions that a reward model learns
        from.
      hold_out: (problems, the policy's solutions of each, seed, progress) to what it is measured
        on; the first set decides the gate.
      cards: texts of the model cards.
      strange: questions from elsewhere, by which the policy learns to tell what it does not know
        (`known.py`); none where it does not.
      temperature: of searches where the user sets none; None leaves it to the strategy.
      answer_pattern: what stands in the step that ends a solution; None where the policy ends it.
    """

    name: str
    scales: Mapping[str, Scale]
    prompt_template: str
    separator: str
    token_pattern: str
    problem: Callable[[str], Problem]
    question: Callable[[str], str]
    solve: Callable[[str], Sequence[str]]
    load: Callable[[str, int, int], list[Problem]]
    grade: Callable[[Sequence[Problem], Sequence[str]], list[bool]]
    label: Callable[[Sequence[Problem], Sampler, int, Count], list[StepRecord]]
    hold_out: Callable[[Sequence[Problem], Sequence[Sequence[str]], int, Count], list[HeldOut]]
    cards: Cards
    strange: Sequence[str] = ()
    temperature: float | None = None
    answer_pattern: str | None = None

    @property
    def policy_name(self) -> str:
        """Folder of the policy."""
        return f"{self.name}-policy"

    @property
    def prm_name(self) -> str:
        """Folder of the reward model."""
        return f"{self.name}-prm"

    @property
    def policy_format(self) -> PolicyFormat:
        """How the policy is prompted, on any task: as it was trained."""
        return PolicyFormat(self.prompt_template, self.separator, self.answer_pattern)

    def training_id(self, seed: int, index: int) -> str:
        """Return the id of a training problem."""
        return f"{self.name}-train-{seed}-{index}"

    def prompt(self, question: str) -> str:
        """Return what the models are shown of a question."""
        return self.prompt_template.replace("{question}", question)

    def solution(self, problem_id: str) -> str:
        """Return the reference solution of an id; it ends without a separator."""
        return "".join(self.solve(problem_id)).removesuffix(self.separator)


@dataclass(slots=True)
class Making:
    """A run of the recipe, as its stages share it.

    Attributes:
      out: folder of the models.
      domain: the task.
      scale_name: key of its `scales`.
      seed: seeds data, initial weights, order and samples.
      device: torch device.
      progress: told of all stages; None tells nobody.
      tokenizer: of all models; the first stage makes it.
    """

    out: Path
    domain: Domain
    scale_name: str
    seed: int
    device: str
    progress: RecipeProgress | None
    tokenizer: Any = None

    @property
    def scale(self) -> Scale:
        """Sizes of all stages."""
        return self.domain.scales[self.scale_name]

    @property
    def work(self) -> Path:
        """Folder of everything in between."""
        return self.out / "work"

    @property
    def policy(self) -> Path:
        """Folder of the policy."""
        return self.out / self.domain.policy_name

    @property
    def prm(self) -> Path:
        """Folder of the reward model."""
        return self.out / self.domain.prm_name

    def stage(self, name: str) -> Callable[[int, int, float | None], None]:
        """Return the progress callback of one stage."""

        def show(done: int, total: int, value: float | None) -> None:
            if self.progress is not None:
                self.progress(name, done, total, value)

        return show

    def count_of(self, name: str) -> Count:
        """Return the progress callback of a stage that has no value to show."""
        return lambda done, total: self.stage(name)(done, total, None)
