"""What prefixes are worth to a tree search, by the reward model or by asking the policy."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from typing import Any, Literal

from stepnav.core.aggregate import Aggregation
from stepnav.core.errors import ConfigError
from stepnav.core.judging import (
    HOPES,
    RATINGS,
    REPLY_TOKENS,
    rating_messages,
    read_vote,
    read_word,
    value_messages,
    vote_messages,
)
from stepnav.core.records import Step
from stepnav.core.requests import Ask, Request, Sampling
from stepnav.core.tree import Node, Tree
from stepnav.search.expand import rate

Evaluation = Literal["reward", "likelihood", "rating", "value", "vote"]
"""reward: the reward model; likelihood: of the last step under the policy, a token. The others ask
the policy: rating, whether the last step is right; value, whether the prefix can still lead to the
right answer; vote, which of the prefixes is the best."""


def evaluate(
    tree: Tree,
    nodes: Sequence[Node],
    counts: dict[str, int],
    by: Evaluation,
    aggregation: Aggregation,
    *,
    replies: int,
    reserve_tokens: int = 0,
) -> Generator[Sequence[Request], list[Any], None]:
    """Set the values of nodes, in [0, 1]; 0 where no reply can be read.

    Args:
      tree, nodes: some of its nodes, which a vote compares with each other.
      counts: replies that could not be read are added to its "unreadable".
      by: see `Evaluation`.
      aggregation: of the reward model's step scores.
      replies: how many are asked for per question to the policy.
      reserve_tokens: as in `Propose`; replies cost policy tokens.
    Raises:
      BudgetSpent: inside the program, if the budget pays for nothing of it.
      ConfigError: the likelihood is asked for, and the policy tells no log-probabilities.
    """
    if not nodes:
        return
    if by == "reward":
        yield from rate(tree, nodes, aggregation)
        return
    if by == "likelihood":
        for node in nodes:
            tree.set_value(node, _likelihood(node.step))
        return
    shown = [node.trajectory for node in nodes]
    if by == "vote":
        questions = [vote_messages(tree.problem, shown)]
    else:
        questions = [(rating_messages if by == "rating" else value_messages)(t) for t in shown]
    sampling = Sampling(max_tokens=REPLY_TOKENS)
    answers = yield [Ask(question, replies, sampling, reserve_tokens) for question in questions]
    read = [[_read(reply.text, by, len(nodes)) for reply in some] for some in answers]
    counts["unreadable"] += sum(some.count(None) for some in read)
    if by == "vote":
        votes = [vote for vote in read[0] if vote is not None]
        values = [_mean([vote == place for vote in votes]) for place in range(len(nodes))]
    else:
        values = [_mean([value for value in some if value is not None]) for some in read]
    for node, value in zip(nodes, values):
        tree.set_value(node, value)


def _read(text: str, by: Evaluation, num_nodes: int) -> float | None:
    """Return what a reply says: a place among the nodes, or a value."""
    if by == "vote":
        return read_vote(text, num_nodes)
    if by == "value":
        word = read_word(text, HOPES)
        return None if word is None else HOPES[word]
    word = read_word(text, RATINGS)
    return None if word is None else float(RATINGS[word] > 0)


def _likelihood(step: Step) -> float:
    """Return the geometric mean of the probabilities of a step's tokens.

    `num_tokens` counts what was paid for: not the known tokens that a draw without replacement
    begins with, which are in the log-probability too.
    """
    if step.logprob is None:
        raise ConfigError(
            "evaluation=likelihood needs log-probabilities, and this policy tells none; use "
            "another evaluation, or another policy"
        )
    num_tokens = len(step.draw.tokens) if step.draw else step.num_tokens
    return math.exp(step.logprob / max(1, num_tokens))


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else 0.0
