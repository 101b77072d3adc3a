"""What inspect_ai finds of ours: a model provider, a solver, benchmarks, and their scorer.

inspect_ai imports this by the entry point `inspect_ai`; nothing of ours does.

    inspect eval stepnav/stepnav_problems -T task=gsm8k -T data=test.jsonl --model stepnav/hgs-MODEL
    inspect eval my_task.py --model stepnav/nav-hgs --model-base-url http://localhost:8080/v1
    inspect eval my_task.py --solver stepnav/stepnav_search -S strategy=beam --model none
"""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Any

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    GenerateConfig,
    ModelAPI,
    ModelOutput,
    ModelUsage,
    get_model,
    modelapi,
)
from inspect_ai.scorer import CORRECT, INCORRECT, Score, Scorer, Target, accuracy, scorer, stderr
from inspect_ai.solver import Generate, Solver, TaskState, solver

from stepnav import build
from stepnav.core.compute import prepare
from stepnav.core.errors import ConfigError
from stepnav.core.outcome import SearchResult
from stepnav.core.records import Problem
from stepnav.harness.searches import Searches, record_of, text_of
from stepnav.tasks.task import Task as Benchmark

OWN = "stepnav"
"""Our name as a provider, and the field of a request and of metadata that holds what is ours."""


@modelapi(name=OWN)
class StepnavAPI(ModelAPI):
    """`stepnav/STRATEGY-MODEL`: each request is searched, here or at a `stepnav serve`.

    MODEL is what `--policy` is on the command line. `extra_body={"stepnav": {...}}` may hold
    `seed`, `problem_id`, `budget_tokens` and `options`, as for our server.

    Args:
      model_name: STRATEGY-MODEL.
      base_url: of a `stepnav serve`; None searches in this process.
      api_key: of that server.
      config: as inspect_ai has it.
      task: gives prompts and reads answers; None is a shipped model's own, else the one of typed
        questions.
      reward: who scores.
      budget: policy tokens of a request that names none.
      options: of the models (`device`, `dtype`, `policy_model`, ...).
    """

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig = GenerateConfig(),  # noqa: B008  (frozen by its owner)
        task: str | None = None,
        reward: str | None = None,
        budget: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(model_name, base_url, api_key, [], config)
        self._budget = budget
        self._served: ModelAPI | None = None
        self._searches: Searches | None = None
        if base_url is not None:
            name = f"openai-api/{OWN}/{model_name}"
            key = api_key or "none"
            self._served = get_model(name, base_url=base_url, api_key=key, memoize=False).api
            return
        strategy, dash, policy = model_name.partition("-")
        if not (dash and policy):
            raise ConfigError(f"a model is called stepnav/STRATEGY-MODEL (got {model_name!r})")
        prepare()
        shipped = policy in build.EMBEDDED_TASKS
        benchmark = build.load_task(task or (policy if shipped else build.TYPED_TASK))
        self._searches = Searches(strategy, benchmark, policy=policy, reward=reward, **options)

    async def generate(
        self,
        input: list[ChatMessage],  # noqa: A002  (inspect_ai's own name)
        tools: Any,
        tool_choice: Any,
        config: GenerateConfig,
    ) -> Any:
        """Return the solution that a search chose; its tree and cost are in the metadata."""
        if self._searches is None:
            assert self._served is not None, "one of the two is there"
            return await self._served.generate(input, tools, tool_choice, config)
        own = (config.extra_body or {}).get(OWN, {})
        chosen = self._searches.strategy(**own.get("options", {}))
        problem = self._searches.problem(input[-1].text, own.get("problem_id"))
        result = await self._searches.run(
            problem,
            seed=own.get("seed", config.seed or 0),
            budget=own.get("budget_tokens", self._budget),
            strategy=chosen,
        )
        return output_of(self.model_name, result)

    async def aclose(self) -> None:
        """Close the models."""
        if self._searches is not None:
            self._searches.close()


@solver
def stepnav_search(
    strategy: str = "hgs",
    task: str = build.TYPED_TASK,
    policy: str | None = None,
    reward: str | None = None,
    budget: int | None = None,
    seed: int = 0,
    **options: Any,
) -> Solver:
    """Search for the answer to each sample with models of stepnav's; the eval's model is not asked.

    Args:
      strategy: as on the command line, for instance hgs:branching=4.
      task: gives prompts and reads answers.
      policy, reward: as on the command line; None takes what ships for the task.
      budget: policy tokens of a search.
      seed: same seed and sample id, same tree as in `stepnav bench`.
      options: of the models (`device`, `dtype`, `policy_model`, ...).
    """
    opened: list[Searches] = []

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        if not opened:
            prepare()
            benchmark = build.load_task(task)
            opened.append(Searches(strategy, benchmark, policy=policy, reward=reward, **options))
        problem = opened[0].problem(state.input_text, str(state.sample_id))
        result = await opened[0].run(problem, seed=seed, budget=budget)
        state.output = output_of(str(state.model), result)
        state.messages.append(state.output.message)
        state.metadata[OWN] = record_of(result)
        return state

    return solve


@solver
def stepnav_ask(seed: int = 0) -> Solver:
    """Ask the eval's model; one of ours is told the sample's id, so that it searches as a bench."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        if state.model.api != OWN:
            return await generate(state)
        own = {"problem_id": str(state.sample_id), "seed": seed}
        state = await generate(state, extra_body={OWN: own})
        state.metadata[OWN] = (state.output.metadata or {}).get(OWN)
        return state

    return solve


@task
def stepnav_problems(
    task: str = "arithmetic",
    split: str | None = None,
    problems: int | None = 100,
    seed: int = 0,
    data: str | None = None,
) -> Task:
    """Benchmarks of stepnav's, with its grader; arguments as of `stepnav bench`."""
    _, drawn = _load(task, split, problems, seed, data)
    samples = [Sample(input=p.question, target=p.answer or "", id=p.id) for p in drawn]
    return Task(
        dataset=MemoryDataset(samples, name=task),
        solver=stepnav_ask(seed),
        scorer=stepnav_grade(task, split, problems, seed, data),
    )


@scorer(metrics=[accuracy(), stderr()])
def stepnav_grade(
    task: str, split: str | None, problems: int | None, seed: int, data: str | None
) -> Scorer:
    """Grade as `stepnav bench` does: the search's answer, or the one that a text holds."""
    benchmark, drawn = _load(task, split, problems, seed, data)
    by_id = {problem.id: problem for problem in drawn}

    async def score(state: TaskState, target: Target) -> Score:
        problem = by_id[str(state.sample_id)]
        own = state.metadata.get(OWN)
        answer = own["answer"] if own else benchmark.extract(state.output.completion)
        is_right = benchmark.grade(problem, answer)
        if is_right is None:  # inspect_ai leaves NaN out of its metrics
            return Score(value=math.nan, answer=answer, explanation="it could not be graded")
        return Score(value=CORRECT if is_right else INCORRECT, answer=answer)

    return score


@cache
def _load(
    task: str, split: str | None, problems: int | None, seed: int, data: str | None
) -> tuple[Benchmark, list[Problem]]:
    benchmark = build.load_task(task)
    path = None if data is None else Path(data)
    return benchmark, benchmark.load(split or benchmark.default_split, problems, seed, path)


def output_of(model: str, result: SearchResult) -> ModelOutput:
    """Return a search's chosen solution as a model's output."""
    used = result.usage
    message = ChatMessageAssistant(content=text_of(result), model=model, source="generate")
    is_cut = result.outcome.stop_reason == "budget"
    return ModelOutput(
        model=model,
        choices=[
            ChatCompletionChoice(message=message, stop_reason="max_tokens" if is_cut else "stop")
        ],
        usage=ModelUsage(
            input_tokens=used.policy_prompt_tokens - used.policy_cached_tokens,
            input_tokens_cache_read=used.policy_cached_tokens,
            output_tokens=used.policy_tokens,
            total_tokens=used.policy_prompt_tokens + used.policy_tokens,
        ),
        time=used.seconds,
        metadata={OWN: record_of(result)},
    )
