"""A step reward as the function that other trainers ask for the reward of a whole solution.

TRL calls it with columns of texts, verl with one solution, OpenRLHF with prompts and prompts with
solutions: `docs/reinforcement.md` has an example of each. All take one number for a solution, so
the steps' values are aggregated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from stepnav.core.aggregate import AGGREGATIONS, Aggregation
from stepnav.core.backend import Backend
from stepnav.core.errors import BackendError, ConfigError, choose, quote
from stepnav.core.records import Problem, Step, StepScore, Trajectory
from stepnav.policies.splitting import split_solution
from stepnav.rewards.function import FunctionReward
from stepnav.run.scoring import score_trajectories

Scores = tuple[StepScore, ...]
QUESTION = "question"
"""The column, or verl's extra field, that holds the question apart from its prompt."""


def as_reward_function(
    reward: Backend | Callable[..., Any],
    *,
    aggregation: str = "min",
    separator: str = "\n",
    question: Callable[[str], str] = str.strip,
    end_text: str = "",
) -> RewardFunction:
    r"""Return a reward model as the reward function of another trainer.

    Args:
      reward: a reward model (`stepnav.open_reward`), or a function as of `FunctionReward`.
      aggregation: of the steps' values, a key of `AGGREGATIONS`: last, min, mean or prod.
      separator: text that ends a step.
      question: takes a prompt, in a conversation its last turn, and returns the question in it;
        not asked where the trainer's data have the question apart.
      end_text: what ends a solution in a trainer that leaves such tokens in the text, as "</s>".
    Raises:
      ConfigError: there is no such aggregation.
    Example:
      >>> steps = as_reward_function(lambda q, steps: [0.9] * len(steps), aggregation="prod")
      >>> [round(value, 2) for value in steps(prompts=["1 + 1 + 1?"], completions=["2\n3"])]
      [0.81]
    """
    chosen: Any = choose("aggregation", aggregation, tuple(AGGREGATIONS))
    backend: Any = reward if hasattr(reward, "submit") else FunctionReward(reward)
    return RewardFunction(backend, chosen, separator, question, end_text)


@dataclass(frozen=True, eq=False)
class RewardFunction:
    """What `as_reward_function` returns: callable as TRL does, and by verl's and OpenRLHF's names.

    A solution that the reward model cannot score, as one too long for it, has no reward; a blank
    one has 0. May be called from several threads.
    """

    backend: Backend
    aggregation: Aggregation = "min"
    separator: str = "\n"
    question: Callable[[str], str] = str.strip
    end_text: str = ""
    _lock: Lock = field(default_factory=Lock, repr=False)

    @property
    def __name__(self) -> str:
        """What trainers call it in their logs."""
        return "step_reward"

    def __call__(
        self, prompts: Sequence[Any], completions: Sequence[Any], **columns: Any
    ) -> list[float | None]:
        """Return the reward of each completion, as TRL asks; None is TRL's word for unknown.

        Args:
          prompts, completions: texts, or the turns of conversations.
          columns: the data's others; `question` is used where it is there.
        Raises:
          BackendError: none of them can be scored.
          ConfigError: a turn holds something else than text.
        """
        questions = columns.get(QUESTION) or [self.question(_last_turn(one)) for one in prompts]
        found = self._rewards(questions, [_last_turn(one) for one in completions])
        return [None if isinstance(reward, BackendError) else reward for reward in found]

    def compute_score(
        self,
        data_source: str,
        solution_str: str,
        ground_truth: Any,
        extra_info: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> float:
        """Return the reward of one solution, as verl asks.

        Raises:
          ConfigError: `extra_info` has no question.
          BackendError: it cannot be scored.
        """
        question = (extra_info or {}).get(QUESTION)
        if not isinstance(question, str):
            raise ConfigError(
                f'verl\'s data must hold the question as extra_info["{QUESTION}"] (got '
                f"{sorted(extra_info or {})} of {data_source})"
            )
        return self._sure([question], [solution_str])[0]

    def reward_func(
        self, queries: Sequence[str], prompts: Sequence[str], labels: Sequence[Any], **_: Any
    ) -> dict[str, Any]:
        """Return rewards as OpenRLHF asks: tensors of one number for each query.

        Args:
          queries: prompts with their solutions.
          prompts: the same without.
          labels: the data's answers; not used.
        Raises:
          BackendError: one of them cannot be scored.
        """
        import torch

        # a solution may repeat its prompt; special tokens may stand before it
        texts = [query.split(prompt, 1)[-1] for query, prompt in zip(queries, prompts)]
        found = torch.tensor(self._sure([self.question(one) for one in prompts], texts))
        return {"rewards": found, "scores": found, "extra_logs": {self.__name__: found}}

    def scores(self, trajectories: Sequence[Trajectory]) -> list[Scores | BackendError]:
        """Return the scores of each trajectory's steps, in order; what cannot be scored says why.

        Raises:
          BackendDown: the reward model can answer nothing any more.
          BackendError: it can score none of them.
        """
        found: dict[int, Scores | BackendError] = {}
        with self._lock:  # a backend is one thread's, and verl and OpenRLHF ask from many
            for number, answer in score_trajectories(self.backend, trajectories):
                found[number] = answer if isinstance(answer, BackendError) else answer.items
        scores = [found[number] for number in range(len(trajectories))]
        failed = [one for one in scores if isinstance(one, BackendError)]
        if failed and len(failed) == len(scores):
            raise failed[0]
        return scores

    def aggregate(self, values: Sequence[float]) -> float:
        """Return the reward of a solution whose steps have these values; 0 if it has none."""
        return AGGREGATIONS[self.aggregation](values) if values else 0.0

    def _sure(self, questions: Sequence[str], texts: Sequence[str]) -> list[float]:
        found = self._rewards(questions, texts)
        for reward in found:
            if isinstance(reward, BackendError):
                raise reward
        return [reward for reward in found if not isinstance(reward, BackendError)]

    def _rewards(
        self, questions: Sequence[str], texts: Sequence[str]
    ) -> list[float | BackendError]:
        return [
            one if isinstance(one, BackendError) else self.aggregate([s.value for s in one])
            for one in self.scores([self._trajectory(*pair) for pair in zip(questions, texts)])
        ]

    def _trajectory(self, question: str, text: str) -> Trajectory:
        text = text.removesuffix(self.end_text)
        *steps, last = [*split_solution(text, self.separator)] or [""]
        ended = (Step(last, "end"),) if last else ()
        return Trajectory(Problem("", question), (*map(Step, steps), *ended))


def _last_turn(text: Any) -> str:
    """Return a text, or what a conversation's last turn says, in one text or in several parts."""
    content = text if isinstance(text, str) else text[-1]["content"]
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if isinstance(parts, Sequence) and all(
        isinstance(part, Mapping)
        and part.get("type") == "text"
        and isinstance(part.get("text"), str)
        for part in parts
    ):
        return "".join(part["text"] for part in parts)
    raise ConfigError(
        f"a turn's content must be text or a list of text parts (got {quote(repr(content))})"
    )
