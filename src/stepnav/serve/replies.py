"""What came of a search in the forms of OpenAI's endpoints: pure functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from stepnav.core.aggregate import aggregate
from stepnav.core.outcome import SearchResult
from stepnav.core.records import Trajectory
from stepnav.core.thoughts import answer_part, split_thinking, thought_text
from stepnav.core.tree import Node
from stepnav.serve.wanted import Wanted

OBJECTS = {"chat": "chat.completion", "completions": "text_completion", "responses": "response"}
PREFIXES = {"chat": "chatcmpl-", "completions": "cmpl-", "responses": "resp_"}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the solutions that a search returns.

    Attributes:
      solution: its steps; None where the search found none.
      answer: its final answer, None if it states none.
      mass: the share of all weight that speaks for its answer; None without a vote or samples.
    """

    solution: Trajectory | None
    answer: str | None
    mass: float | None = None

    @property
    def text(self) -> str:
        """The solution's text, without what was thought before."""
        return "" if self.solution is None else answer_part(self.solution.text).strip("\n")

    @property
    def thought(self) -> str:
        """What a thinking model thought before it, without its marks."""
        return "" if self.solution is None else thought_text(split_thinking(self.solution.text)[0])

    @property
    def finish_reason(self) -> str:
        """Why it ended, in OpenAI's words."""
        return "stop" if self.solution is not None and self.solution.is_finished else "length"

    @property
    def num_tokens(self) -> int:
        """What was generated of its answer, thoughts left out."""
        steps = () if self.solution is None else self.solution.steps
        ends = accumulate(len(step.text) for step in steps)
        num_thought = len(split_thinking("".join(step.text for step in steps))[0])
        return sum(step.num_tokens for step, end in zip(steps, ends) if end > num_thought)


def choices_of(wanted: Wanted, result: SearchResult) -> list[Choice]:
    """Return the choices of a reply: samples as drawn, or the best distinct answers of a search."""
    if not wanted.is_searched:
        return [Choice(solution, None) for solution in _samples(result)] or [Choice(None, None)]
    extract = wanted.search.extract
    chosen = result.outcome.trajectory
    best: dict[str, tuple[float, Trajectory]] = {}
    weights: dict[str, float] = {}
    for node in _solutions(result):
        weight = (1 + node.duplicates) * _score(result, node)
        key = _key(node.trajectory, extract)
        weights[key] = weights.get(key, 0.0) + weight
        if key not in best or _score(result, node) > best[key][0]:
            best[key] = _score(result, node), node.trajectory
    weights = dict(result.outcome.votes) or weights
    total = sum(weights.values())
    first = None if chosen is None else _key(chosen, extract)
    ranked = sorted(best, key=lambda key: (key != first, -weights.get(key, 0.0)))
    found = [
        Choice(
            chosen if key == first else best[key][1],
            result.answer if key == first else extract(best[key][1].text),
            weights.get(key, 0.0) / total if total > 0 else None,
        )
        for key in ranked[: wanted.n]
    ]
    if first not in best:  # it was cut
        found = [Choice(chosen, result.answer), *found][: wanted.n]
    return found


def _key(solution: Trajectory, extract: Callable[[str], str | None]) -> str:
    """Return by what solutions are told apart: their answers, of free text the text."""
    answer = extract(solution.text)
    return solution.text.strip() if answer is None else answer


def _samples(result: SearchResult) -> list[Trajectory]:
    tree = result.tree
    leaves = [node for node in tree.nodes[1:] if not node.children or node.is_finished]
    return [node.trajectory for node in leaves for _ in range(1 + node.duplicates)]


def _solutions(result: SearchResult) -> list[Node]:
    return [node for node in result.tree.nodes if node.depth and node.is_finished]


def _score(result: SearchResult, node: Node) -> float:
    """Return the product of the probabilities that a solution's steps are right; unscored: 1."""
    scores = [member.score for member in result.tree.path(node) if member.score is not None]
    return aggregate(scores, "prod") if scores else 1.0


def right_prob(result: SearchResult) -> float | None:
    """Return the probability that the answer is right: the search's own, else the reward model's.

    The reward model's is that all steps of the solution are right; None if they were not scored.
    """
    if result.outcome.right_prob is not None:
        return result.outcome.right_prob
    solution = result.outcome.trajectory
    node: Node | None = result.tree.root
    scores = []
    for step in () if solution is None else solution.steps:
        node = None if node is None else result.tree.find_child(node, step)
        scores.append(None if node is None else node.score)
    known = [score for score in scores if score is not None]
    return aggregate(known, "prod") if known and len(known) == len(scores) else None


def usage_of(result: SearchResult, choices: list[Choice]) -> dict[str, Any]:
    """Return what a search used, in OpenAI's fields: all that was generated counts."""
    used = result.usage
    returned = min(used.policy_tokens, sum(choice.num_tokens for choice in choices))
    return {
        "prompt_tokens": used.policy_prompt_tokens,
        "completion_tokens": used.policy_tokens,
        "total_tokens": used.policy_prompt_tokens + used.policy_tokens,
        "prompt_tokens_details": {"cached_tokens": used.policy_cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": used.policy_tokens - returned},
    }


def details_of(wanted: Wanted, result: SearchResult) -> dict[str, Any]:
    """Return what OpenAI's fields have no place for."""
    used = result.usage
    return {
        "strategy": result.strategy,
        "options": dict(result.options),
        "seed": result.seed,
        "answer": result.answer,
        "stop_reason": result.outcome.stop_reason,
        "right_prob": right_prob(result),
        "counts": dict(result.outcome.counts),
        "policy_calls": used.policy_calls,
        "reward_calls": used.reward_calls,
        "reward_tokens": used.reward_tokens,
        "flops": used.flops,
        "seconds": round(used.seconds, 3),
        "trace": wanted.search.id if wanted.keeps_trace else None,
        "ignored": list(wanted.ignored),
    }


def whole(wanted: Wanted, result: SearchResult, created: int) -> dict[str, Any]:
    """Return the reply to a request that is not streamed."""
    choices = choices_of(wanted, result)
    if wanted.kind == "responses":
        return response_of(wanted, result, choices, created)
    listed = [
        {
            "index": index,
            **_text_fields(wanted, choice),
            **end_fields(wanted, choice),
        }
        for index, choice in enumerate(choices)
    ]
    return {
        **head(wanted, created),
        "choices": listed,
        "usage": usage_of(result, choices),
        **({"stepnav": details_of(wanted, result)} if wanted.is_searched else {}),
    }


def head(wanted: Wanted, created: int, *, is_chunk: bool = False) -> dict[str, Any]:
    """Return the fields with which every reply and every chunk begins."""
    kind = OBJECTS[wanted.kind]
    return {
        "id": PREFIXES[wanted.kind] + wanted.search.id,
        "object": "chat.completion.chunk" if is_chunk and wanted.kind == "chat" else kind,
        "created": created,
        "model": wanted.model,
    }


def _text_fields(wanted: Wanted, choice: Choice) -> dict[str, Any]:
    if wanted.kind == "completions":
        return {"text": choice.text}
    message = {"role": "assistant", "content": choice.text, "refusal": None}
    return {"message": {**message, **thought_fields(choice)}}


def thought_fields(choice: Choice) -> dict[str, str]:
    """Return what was thought under both names by which clients look for it; {} for nothing."""
    thought = choice.thought
    return {"reasoning": thought, "reasoning_content": thought} if thought else {}


def end_fields(wanted: Wanted, choice: Choice) -> dict[str, Any]:
    """Return what is said of a choice besides its text."""
    own = {"stepnav": {"answer": choice.answer, "mass": choice.mass}}
    found = {"finish_reason": choice.finish_reason, "logprobs": None}
    return {**found, **own} if wanted.is_searched else found


def response_of(
    wanted: Wanted, result: SearchResult, choices: list[Choice], created: int
) -> dict[str, Any]:
    """Return the reply of /v1/responses."""
    used = usage_of(result, choices)
    is_whole = choices[0].finish_reason == "stop"
    status = "completed" if is_whole else "incomplete"
    return {
        **response_head(wanted, created, status),
        "incomplete_details": None if is_whole else {"reason": "max_output_tokens"},
        "output": [response_message(wanted, choices[0].text, status)],
        "usage": {
            "input_tokens": used["prompt_tokens"],
            "input_tokens_details": used["prompt_tokens_details"],
            "output_tokens": used["completion_tokens"],
            "output_tokens_details": used["completion_tokens_details"],
            "total_tokens": used["total_tokens"],
        },
        **({"stepnav": details_of(wanted, result)} if wanted.is_searched else {}),
    }


def response_head(wanted: Wanted, created: int, status: str) -> dict[str, Any]:
    """Return what is known of a reply of /v1/responses before the search has ended."""
    return {
        "id": PREFIXES["responses"] + wanted.search.id,
        "object": "response",
        "created_at": created,
        "model": wanted.model,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "output": [],
        "parallel_tool_calls": False,
        "tool_choice": "none",
        "tools": [],
        "store": False,
        "usage": None,
    }


def response_message(wanted: Wanted, text: str | None, status: str) -> dict[str, Any]:
    """Return a message of /v1/responses; `text` is None where it is still to come."""
    content = [] if text is None else [text_part(text)]
    return {
        "id": f"msg_{wanted.search.id}",
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": content,
    }


def text_part(text: str) -> dict[str, Any]:
    """Return the text of a message."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
