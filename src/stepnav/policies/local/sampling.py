"""Draws tokens for all rows of a batch at once, each from its own seed and position alone.

One uniform number per row and token comes from a counter-based hash (SplitMix64's finaliser, Steele
et al. 2014, https://doi.org/10.1145/2714064.2660195), and picks by inverting the cumulative
distribution. Nothing depends on the other rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from stepnav.core.requests import Sampling
from stepnav.policies.remainder import log_sum, told_temperature

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_LARGEST = np.float32(1 - 2**-22)


def uniforms(seeds: Sequence[int], counters: Sequence[int]) -> Any:
    """Return one float32 in [0, 1) per (seed, counter)."""
    with np.errstate(over="ignore"):
        bits = (
            _mix(np.array(seeds, dtype=np.uint64)) + np.array(counters, dtype=np.uint64) * _GOLDEN
        )
        bits = _mix(bits + _GOLDEN)
    return np.minimum((bits >> np.uint64(40)).astype(np.float32) * np.float32(2**-24), _LARGEST)


def _mix(bits: Any) -> Any:
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def sample(
    logits: Any,
    temperatures: Sequence[float],
    top_ps: Sequence[float],
    seeds: Sequence[int],
    counters: Sequence[int],
    excluded: Any = None,
) -> tuple[list[int], list[float]]:
    """Return one token per row and its log-probability at temperature 1 under the model itself.

    Shapes: B rows, V tokens of the vocabulary.

    Args:
      logits: [B, V], float32.
      temperatures: 0 takes the likeliest token.
      top_ps: smallest set of likeliest tokens that has at least this probability; 1 is all.
      seeds, counters: what the draw depends on.
      excluded: tensor of tokens that are never drawn; None excludes none.
    """
    log_probs = torch.log_softmax(logits, dim=-1)
    if excluded is not None:
        logits = logits.index_fill(1, excluded, -torch.inf)
    if not any(temperatures):
        tokens = logits.argmax(dim=-1)
    else:
        tokens = _draw(logits, temperatures, top_ps, uniforms(seeds, counters))
        if not all(temperatures):
            is_greedy = _beside(logits, [not t for t in temperatures])
            tokens = torch.where(is_greedy, logits.argmax(dim=-1), tokens)
    chosen = log_probs.gather(1, tokens[:, None])[:, 0]
    return tokens.tolist(), chosen.tolist()


def sample_remainder(
    logits: Any,
    samplings: Sequence[Sampling],
    seeds: Sequence[int],
    counters: Sequence[int],
    taken: Sequence[Sequence[tuple[int, float]]],
    excluded: Any = None,
) -> list[tuple[int, float, float, float]]:
    """Return one token per row, drawn in proportion to what is left after each (`remainder.py`).

    Args:
      logits, seeds, counters, excluded: as of `sample`.
      samplings: how each row is drawn.
      taken: for each row, tokens that were drawn there before, with the log of the share left.
    Returns:
      For each row the token, -1 where none is left; its log-probability as of `sample`; and
      `logprob` and `rest` as in `core.records.Draw`.
    """
    own = torch.log_softmax(logits, dim=-1)
    if excluded is not None:
        logits = logits.index_fill(1, excluded, -torch.inf)
    told = [told_temperature(sampling) for sampling in samplings]
    logs = _scaled(logits, told)  # log-probabilities but for a constant of the row
    cut = [row for row, sampling in enumerate(samplings) if sampling.top_p < 1]
    if cut:
        limits = _beside(logits, [samplings[row].top_p for row in cut])
        cut = _beside(logits, cut)
        logs[cut] = _nucleus(torch.softmax(logs[cut], dim=-1), limits).log()
    # in place: few rows stand where something was taken, and the others pay nothing for them
    places = [(row, token) for row, pairs in enumerate(taken) for token, _ in pairs]
    if places:
        at_taken = _beside(logits, [*zip(*places)]).unbind()
        before = logs[at_taken]
        shares = _beside(logits, [share for pairs in taken for _, share in pairs])
        logs[at_taken] = before + shares
    # relative to the likeliest, so that little that is left is drawn from as exactly as all
    highest = logs.amax(dim=-1)
    if not any(sampling.temperature for sampling in samplings):
        drawn = logs.argmax(dim=-1)
    else:
        drawn = _inverted((logs - highest[:, None]).exp_(), uniforms(seeds, counters))
        if not all(sampling.temperature for sampling in samplings):
            is_greedy = _beside(logits, [not s.temperature for s in samplings])
            drawn = torch.where(is_greedy, logs.argmax(dim=-1), drawn)
    at = drawn[:, None]
    picked, own = logs.gather(1, at)[:, 0], own.gather(1, at)[:, 0]
    logs.scatter_(1, at, -torch.inf)
    if places:
        logs[at_taken] = -torch.inf
    found, known = [], iter(before.tolist() if places else ())
    columns = [column.tolist() for column in (drawn, own, picked, _log_sums(logs), highest)]
    for token, logprob, log, rest, most, pairs in zip(*columns, taken):
        masses = [log]
        if pairs:
            by_token = {token: log, **{other: next(known) for other, _ in pairs}}
            log, masses = by_token[token], [*by_token.values()]
        whole = log_sum([rest, *masses])
        found.append((-1 if most == -math.inf else token, logprob, log - whole, rest - whole))
    return found


def _log_sums(logs: Any) -> Any:
    """Return the log of the sum of each row; `logsumexp` adds a lone row in another order."""
    highest = logs.amax(dim=-1)
    shares = torch.log_softmax(logs, dim=-1).amax(dim=-1)
    return torch.where(highest == -torch.inf, highest, highest - shares)


def _beside(logits: Any, values: Sequence[Any]) -> Any:
    """Return a tensor of values where the logits are, without waiting for what computes them."""
    return torch.tensor(values).to(logits.device, non_blocking=True)


def _scaled(logits: Any, temperatures: Sequence[float]) -> Any:
    scale = _beside(logits, [t or 1.0 for t in temperatures])
    return logits / scale[:, None]


def _draw(logits: Any, temperatures: Sequence[float], top_ps: Sequence[float], draws: Any) -> Any:
    probs = torch.softmax(_scaled(logits, temperatures), dim=-1)
    if any(top_p < 1 for top_p in top_ps):
        cut = [row for row, top_p in enumerate(top_ps) if top_p < 1]
        limits = _beside(logits, [top_ps[row] for row in cut])
        cut = _beside(logits, cut)
        probs[cut] = _nucleus(probs[cut], limits)
    return _inverted(probs, draws)


def _inverted(probs: Any, draws: Any) -> Any:
    """Return where each row's cumulative probability passes its number in [0, 1)."""
    cumulative = probs.cumsum(dim=-1)
    draws = torch.from_numpy(draws).to(probs.device, non_blocking=True)
    thresholds = draws[:, None] * cumulative[:, -1:]
    tokens = torch.searchsorted(cumulative, thresholds, right=True)[:, 0]
    return tokens.clamp_(max=probs.shape[-1] - 1)


def _nucleus(probs: Any, top_ps: Any) -> Any:
    """Zero all but the likeliest tokens that reach `top_ps` (Holtzman et al. 2020, section 3.1)."""
    ordered, order = probs.sort(dim=-1, descending=True, stable=True)
    before = ordered.cumsum(dim=-1) - ordered
    ordered = ordered.masked_fill(before >= top_ps[:, None], 0.0)
    return torch.zeros_like(probs).scatter_(1, order, ordered)
