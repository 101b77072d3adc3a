"""What a server serves: models, strategies and limits; opened before it starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stepnav.answers.extract import last_boxed, marked_answer
from stepnav.core.backend import Backend
from stepnav.core.errors import ConfigError, nearest
from stepnav.core.records import Problem
from stepnav.core.requests import REWARD
from stepnav.core.strategy import Strategy
from stepnav.tasks.task import Task

MAX_GRACE_S = 86_400


@dataclass(frozen=True, slots=True)
class Limits:
    """What requests may take.

    Attributes:
      active: searches that run at once.
      queue: requests that may be open besides.
      budget_tokens: policy tokens of a search whose request sets none; None is `max_budget_tokens`,
        and the strategy does not know of it.
      max_budget_tokens: most policy tokens of any search.
      max_seconds: longest time of any search, waiting included.
      max_count: most draws, beams and so on that an option of a strategy may ask for.
      max_body_bytes: of a request.
      body_timeout_s: how long a client may take to send it.
      grace_s: how long searches may go on after the server was told to stop; at most
        `MAX_GRACE_S`.
    """

    active: int = 64
    queue: int = 256
    budget_tokens: int | None = None
    max_budget_tokens: int = 100_000
    max_seconds: float = 600.0
    max_count: int = 256
    max_body_bytes: int = 2**20
    body_timeout_s: float = 30.0
    grace_s: float = 20.0

    def __post_init__(self) -> None:
        if self.budget_tokens is not None and self.budget_tokens > self.max_budget_tokens:
            raise ConfigError(
                f"the usual budget ({self.budget_tokens} tokens) must not be above the largest one "
                f"({self.max_budget_tokens}); lower --budget or raise --max-budget"
            )
        for name in ("max_seconds", "grace_s"):
            if not getattr(self, name) > 0:  # also catches NaN
                option = "--" + name.removesuffix("_s").replace("_", "-")
                raise ConfigError(f"{option} must be above 0 (got {getattr(self, name)})")
        if self.grace_s > MAX_GRACE_S:
            raise ConfigError(f"--grace must be at most {MAX_GRACE_S}, a day (got {self.grace_s})")


@dataclass(frozen=True, slots=True)
class Server:
    """The model server behind this one.

    Attributes:
      base_url: up to and with "/v1".
      model: the model's name there.
      api_key: sent as a bearer token; never shown.
      timeout_s: of one request.
    """

    base_url: str
    model: str
    api_key: str | None = field(default=None, repr=False)
    timeout_s: float = 120.0


@dataclass(frozen=True, slots=True)
class House:
    """Everything that a request can reach.

    Attributes:
      model: the name under which the policy is served.
      task: gives prompts and reads answers.
      models: name -> backend, as the driver takes them.
      strategies: those that requests may name; of them are served whose models are there.
      default: the one of a request that asks for a search and names none.
      reward: the name of the reward model, None if there is none.
      rewards: names of others that requests may ask for -> their names among `models`.
      server: where requests that are not searched go; None where the policy is in this process.
      takes_context: whether the policy is chatted with, and so shown earlier turns.
      limits: of requests.
      keys: API keys, one of which a request must bring; empty lets everybody in.
      hosts: names by which the server may be called, in lower case; empty are all.
      traces: the folder in which finished searches are kept; None keeps none.
      max_traces: how many.
    """

    model: str
    task: Task
    models: Mapping[str, Backend]
    strategies: Mapping[str, Strategy]
    default: str
    reward: str | None = None
    rewards: Mapping[str, str] = field(default_factory=dict)
    server: Server | None = None
    takes_context: bool = False
    limits: Limits = field(default_factory=Limits)
    keys: tuple[str, ...] = field(default=(), repr=False)
    hosts: tuple[str, ...] = ()
    traces: Path | None = None
    max_traces: int = 10_000

    def __post_init__(self) -> None:
        self.strategy(self.default)

    @property
    def served_models(self) -> list[str]:
        """The names of models that requests may ask for."""
        usable = [name for name, chosen in self.strategies.items() if not self._lacks(chosen)]
        return [self.model, *(f"{name}-{self.model}" for name in usable)]

    def strategy(self, name: str) -> Strategy:
        """Return the strategy of a name.

        Raises:
          ConfigError: there is none, or it asks models that are not there.
        """
        if name not in self.strategies:
            known = list(self.strategies)
            raise ConfigError(
                f"there is no strategy {name!r}{nearest(name, known)}; there are {', '.join(known)}"
            )
        lacking = self._lacks(self.strategies[name])
        if lacking:
            noun = "reward model" if lacking == [REWARD] else f"model {', '.join(lacking)}"
            raise ConfigError(
                f"the strategy {name} needs a {noun}, and this server has none (--reward)"
            )
        return self.strategies[name]

    def _lacks(self, chosen: Strategy) -> list[str]:
        return [name for name in chosen.models if name not in self.models]


def chat_task() -> Task:
    """Return what reads conversations: the user's words as they are, answers only where marked.

    Free text has none, and its solutions are then told apart by their scores.
    """
    return Task(
        name="chat",
        splits=(),
        default_split="",
        prompt_template="{question}\n",
        chat_template="{question}",
        answer_pattern=None,
        load=lambda split, count, seed, path: [],
        extract=_marked,
        grade=lambda problem, answer: None,
        ask=lambda text: Problem("given", text),
    )


def _marked(text: str) -> str | None:
    if last_boxed(text) is None and "####" in text:
        line = text.rpartition("####")[2].strip().partition("\n")[0]
        return line.strip() or None
    return marked_answer(text)
