"""Records to plain JSON values and back.

The journal, the golden trees of the tests and the tree viewer all use this one schema. Floats
survive exactly (`repr` round trip), so that a replayed run equals the run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from operator import attrgetter
from typing import Any, get_args

from stepnav.core.backend import Answer
from stepnav.core.budget import Usage
from stepnav.core.outcome import Outcome, SearchResult
from stepnav.core.records import (
    Draw,
    Finish,
    Message,
    Problem,
    Reply,
    Step,
    StepScore,
    Told,
    Trajectory,
)
from stepnav.core.requests import Ask, Complete, Propose, Request
from stepnav.core.tree import NO_PARENT, Tree

_LARGEST = 2**63
"""No count is as large; a larger number is damage, which tables and sums would stumble over."""

_RESULT_KINDS: Mapping[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("search_id", "strategy", "problem_id", "stop_reason"), str),
    **dict.fromkeys(("answer", "voted", "error"), (str, type(None))),
    **dict.fromkeys(("options", "counts", "votes", "usage"), dict),
    **dict.fromkeys(("seed", "requests"), int),
}

_PLAIN = (
    "search_id", "strategy", "options", "problem_id", "seed", "answer", "requests", "error",
)  # fmt: skip
"""Fields of a result that stand in JSON as they are."""

USAGE_FIELDS = tuple(field.name for field in fields(Usage))
_AMOUNTS = attrgetter(*USAGE_FIELDS)


def encode_step(step: Step) -> list[Any]:
    """Return `[text, finish, num_tokens, token_ids, logprob]`, and the draw if it is known."""
    fields = [step.text, step.finish, step.num_tokens, step.token_ids, step.logprob]
    return fields if step.draw is None else [*fields, _encode_draw(step.draw, step.token_ids)]


def _encode_draw(draw: Draw, known: Sequence[int] | None) -> list[Any]:
    """Return tokens that the step's own do not tell, log-probabilities, rests, and what is told."""
    rests = [None if rest == -math.inf else rest for rest in draw.rests]  # JSON has no infinity
    fields = [draw.tokens[len(known or ()) :], draw.logprobs, rests]
    if draw.told is None:
        return fields
    return [*fields, [(text, logprob) if text else logprob for text, logprob in draw.told]]


def decode_step(value: list[Any]) -> Step:
    """Return the step of `encode_step`."""
    text, finish, num_tokens, token_ids, logprob, *rest = value
    if not isinstance(text, str) or finish not in get_args(Finish):
        raise TypeError(f"a step of {text!r} that ended by {finish!r}")
    _check_counts([num_tokens])
    ids = None if token_ids is None else tuple(token_ids)
    return Step(
        text, finish, num_tokens, ids, logprob, _decode_draw(rest[0], ids) if rest else None
    )


def _decode_draw(value: list[Any], known: Sequence[int] | None) -> Draw:
    more, logprobs, rests, *told = value
    return Draw(
        (*(known or ()), *more),
        tuple(map(float, logprobs)),
        tuple(-math.inf if rest is None else float(rest) for rest in rests),
        tuple(map(_decode_told, told[0])) if told else None,
    )


def _decode_told(value: Any) -> Told:
    text, logprob = value if isinstance(value, list | tuple) else ("", value)
    return str(text), float(logprob)


def encode_score(score: StepScore) -> list[float]:
    """Return `[negative_prob, neutral_prob, positive_prob]`."""
    return [score.negative_prob, score.neutral_prob, score.positive_prob]


def encode_usage(usage: Usage) -> list[Any]:
    """Return the amounts in the order of `USAGE_FIELDS`."""
    return list(_AMOUNTS(usage))


def decode_usage(values: Sequence[Any]) -> Usage:
    """Return the usage of `encode_usage`."""
    usage = Usage(*values)
    _check_counts([*encode_usage(replace(usage, flops=0)), usage.flops or 0])
    return usage


def encode_answer(request: Request, answer: Answer) -> list[Any]:
    """Return the answer's fields in order; of trajectories only what follows the prefix."""
    items: list[Any]
    if isinstance(request, Propose):
        items = [encode_step(step) for step in answer.items]
    elif isinstance(request, Complete):
        known = len(request.prefix.steps)
        items = [[encode_step(step) for step in item.steps[known:]] for item in answer.items]
    elif isinstance(request, Ask):
        items = [[r.text, r.finish, r.num_tokens, r.logprob] for r in answer.items]
    else:
        items = [encode_score(score) for score in answer.items]
    return [items, encode_usage(answer.usage), answer.prefix_tokens, answer.flops_per_token]


def decode_answer(request: Request, value: list[Any]) -> Answer:
    """Return the answer of `encode_answer` to the same request."""
    items, usage, prefix_tokens, flops_per_token = value
    decoded: tuple[Any, ...]
    if isinstance(request, Propose):
        decoded = tuple(decode_step(item) for item in items)
    elif isinstance(request, Complete):
        decoded = tuple(request.prefix.extend(*map(decode_step, item)) for item in items)
    elif isinstance(request, Ask):
        decoded = tuple(Reply(*item) for item in items)
    else:
        decoded = tuple(StepScore(*item) for item in items)
    known = None if prefix_tokens is None else tuple(prefix_tokens)
    return Answer(decoded, decode_usage(usage), known, flops_per_token)


def encode_tree(tree: Tree) -> dict[str, Any]:
    """Return the tree as `{"problem": ..., "nodes": [...]}`, the root left out of the nodes."""
    problem = tree.problem
    turns = [[turn.role, turn.content] for turn in problem.context]
    return {
        "problem": {
            "id": problem.id,
            "question": problem.question,
            "answer": problem.answer,
            "metadata": dict(problem.metadata),
            **({"context": turns} if turns else {}),
        },
        "nodes": [
            {
                "index": node.index,
                "parent": node.parent,
                "text": node.step.text,
                "finish": node.step.finish,
                "num_tokens": node.step.num_tokens,
                "logprob": node.step.logprob,
                "score": None if node.score is None else encode_score(node.score),
                "status": node.status,
                "duplicates": node.duplicates,
                "value": node.value,
                "visits": node.visits,
            }
            for node in tree.nodes
            if node.parent != NO_PARENT
        ],
    }


def decode_tree(value: Mapping[str, Any]) -> Tree:
    """Return the tree of `encode_tree`; the policy's token ids are not kept in it."""
    turns = tuple(Message(*turn) for turn in value["problem"].get("context", ()))
    problem = Problem(**{**value["problem"], "context": turns})
    if not isinstance(problem.question, str) or not isinstance(problem.id, str):
        raise TypeError(f"a problem {problem.id!r} of {problem.question!r}")
    tree = Tree(problem)
    for item in value["nodes"]:
        step = decode_step(
            [*(item[k] for k in ("text", "finish", "num_tokens")), None, item["logprob"]]
        )
        score = None if item["score"] is None else StepScore(*item["score"])
        node = tree.add(tree.nodes[item["parent"]], step, score)
        node.status = item["status"]
        node.duplicates = item["duplicates"]
        node.value = item["value"]
        node.visits = item.get("visits")  # absent in journals of earlier versions
    return tree


def encode_result(result: SearchResult) -> dict[str, Any]:
    """Return a finished search as plain JSON values."""
    outcome = result.outcome
    trajectory = outcome.trajectory
    return {
        "search_id": result.search_id,
        "strategy": result.strategy,
        "options": dict(result.options),
        "problem_id": result.problem_id,
        "seed": result.seed,
        "answer": result.answer,
        "stop_reason": outcome.stop_reason,
        "steps": None if trajectory is None else [encode_step(s) for s in trajectory.steps],
        "voted": outcome.answer,
        "counts": dict(outcome.counts),
        "votes": dict(outcome.votes),
        **({} if outcome.right_prob is None else {"right_prob": outcome.right_prob}),
        "tree": encode_tree(result.tree),
        "usage": dict(zip(USAGE_FIELDS, encode_usage(result.usage))),
        "requests": result.requests,
        "error": result.error,
    }


def decode_result(value: Mapping[str, Any]) -> SearchResult:
    """Return the finished search of `encode_result`."""
    for name, kinds in _RESULT_KINDS.items():
        if not isinstance(value[name], kinds):
            raise TypeError(f"{name} is {value[name]!r}")
    _check_counts([value["requests"], *value["counts"].values()])
    tree = decode_tree(value["tree"])
    trajectory = None
    if value["steps"] is not None:
        trajectory = Trajectory(tree.problem, tuple(map(decode_step, value["steps"])))
    outcome = Outcome(
        trajectory, value["stop_reason"], value["voted"], value["counts"], value["votes"],
        value.get("right_prob"),
    )  # fmt: skip
    return SearchResult(
        **{name: value[name] for name in _PLAIN},
        outcome=outcome,
        tree=tree,
        usage=decode_usage([value["usage"][name] for name in USAGE_FIELDS]),
    )


def _check_counts(values: Sequence[Any]) -> None:
    """Refuse what is no number, or none that could be counted."""
    for value in values:
        if not math.isfinite(value) or abs(value) >= _LARGEST:
            raise ValueError(f"{value!r} is no count")
