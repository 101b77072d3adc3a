"""A reward without training: how likely a second language model finds a step's least likely token.

The score is P(right) = p / (p + threshold), p being the probability of the step's least likely
token, so that one token that the model does not believe is enough to reject a step. Every trained
reward model should beat it. The separator that ends a solution is left out: the policy wrote none
there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stepnav.core.errors import ConfigError
from stepnav.core.records import StepScore, Trajectory, trimmed
from stepnav.engine.row import Row
from stepnav.engine.tokenizer import following_ids
from stepnav.rewards.local.family import CAUSAL, EngineLimits, Family
from stepnav.rewards.local.step_format import StepFormat, TrajectoryEncoder
from stepnav.rewards.local.step_reader import Reading, step_scores


@dataclass(frozen=True, slots=True)
class Likelihood:
    r"""How steps are shown and judged.

    Attributes:
      prompt_template: how the question is shown; holds "{question}".
      separator: text after each step.
      threshold: a step is rated +1 if its least likely token has a higher probability. Where
        several wordings are right, each has a fair share of the probability, so it should stand
        well below 1 / wordings.
      add_bos: whether the tokeniser's BOS token comes first, if it has one; None leaves it to the
        tokeniser's own settings.
    """

    prompt_template: str = "{question}\n"
    separator: str = "\n"
    threshold: float = 0.02
    add_bos: bool | None = True


def _reader(model: Any, tokenizer: Any, format: Likelihood) -> _TokenReader:  # noqa: A002
    if not format.threshold > 0:
        raise ConfigError(f"threshold must be above 0 (got {format.threshold})")
    add_bos = format.add_bos
    if add_bos is None:
        add_bos = tokenizer.encode("x")[0] == tokenizer.bos_token_id
    shown = _Written(format.separator, format.prompt_template, add_bos=add_bos)
    encoder = _BareEnd(tokenizer, shown)
    return _TokenReader(encoder, format.threshold)


def _runner(model: Any, limits: EngineLimits) -> Any:
    from stepnav.engine.runner import Runner

    return Runner(model, output_floats=model.config.get_text_config().vocab_size, **limits)


class _Written(StepFormat):
    """Steps as a policy writes them: each goes on from the text before, and so do separators."""

    def bare_ids(self, tokenizer: Any, step: str) -> list[int]:
        """Return one step's tokens without its separator's."""
        return following_ids(tokenizer, trimmed(step), self.separator)

    def separator_ids(self, tokenizer: Any) -> list[int]:
        """Return the separator's tokens; errors as of `StepFormat`."""
        StepFormat.separator_ids(self, tokenizer)
        return following_ids(tokenizer, self.separator, "a")


class _BareEnd(TrajectoryEncoder):
    """Leaves out the separator that ends a solution, unless the last step is nothing else."""

    def __init__(self, tokenizer: Any, format: StepFormat) -> None:  # noqa: A002
        super().__init__(tokenizer, format)
        self._separator_tokens = len(format.separator_ids(tokenizer))

    def encode(self, trajectory: Trajectory) -> tuple[list[int], tuple[int, ...]]:
        """Return the tokens, and how many there are after the prompt and after each step."""
        tokens, totals = super().encode(trajectory)
        if not trajectory.is_finished:
            return tokens, totals
        end = totals[-1] - self._separator_tokens
        if end == totals[-2]:
            return tokens, totals
        return tokens[:end], (*totals[:-1], end)


class _TokenReader:
    """Reads the log-probability of every token of every step.

    A row's output is, at the prompt's end and at each step's, the pair of the step's lowest
    log-probability and all log-probabilities of the token that follows; anywhere else, the
    log-probability of the next token of the row.
    """

    def __init__(self, encoder: TrajectoryEncoder, threshold: float) -> None:
        self._encoder = encoder
        self._threshold = threshold

    def reading(self, trajectory: Trajectory) -> Reading:
        tokens, totals = self._encoder.encode(trajectory)
        row = Row(tokens, tuple(total - 1 for total in totals), reads_all=True)
        return Reading((row,) if trajectory.steps else (), totals, totals)

    def take(self, asked: Sequence[tuple[Row, int]], outputs: Any) -> None:
        log_probs = outputs.log_softmax(dim=-1)
        following = [
            row.tokens[position + 1] if position + 1 < len(row.tokens) else 0
            for row, position in asked
        ]
        targets = log_probs.new_tensor(following).long()
        nexts = log_probs.gather(1, targets[:, None])[:, 0].tolist()
        # in the CPU's memory, since single ones of them will be looked up
        at_ends = [index for index, (row, at) in enumerate(asked) if at in row.wanted]
        ends = iter(log_probs[at_ends].cpu())
        for index, (row, position) in enumerate(asked):
            if position in row.wanted:
                lowest = self._lowest(row, position)
                row.outputs[position] = (lowest, next(ends).clone())
            else:
                row.outputs[position] = nexts[index]

    def scores(self, rows: Sequence[Row]) -> tuple[StepScore, ...]:
        likely = [math.exp(row.outputs[at][0]) for row in rows for at in row.wanted[1:]]
        probs = [p / (p + self._threshold) for p in likely]
        return step_scores([(1 - prob, 0.0, prob) for prob in probs])

    def _lowest(self, row: Row, end: int) -> float:
        """Return the lowest log-probability of the step that ends at `end`."""
        step = row.wanted.index(end)
        if step == 0:
            return 0.0
        before = row.wanted[step - 1]
        first = float(row.outputs[before][1][row.tokens[before + 1]])
        found = [first, *(float(row.outputs[at]) for at in range(before + 1, end))]
        return math.nan if any(map(math.isnan, found)) else min(found)


LIKELIHOOD = Family(
    "causal language model",
    CAUSAL,
    _reader,
    lambda folder, config: Likelihood(),
    _runner,
    pass_tokens=512,  # of outputs as wide as the vocabulary
    kind="causal",
)
