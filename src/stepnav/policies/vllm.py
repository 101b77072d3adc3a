"""A policy by vLLM in this process: its batches, its cache of prefixes, its GPUs.

Samples are cut by the rule of our own engine (`policies/local/samples.py`), token by token, so that
steps and solutions end where they would there. vLLM is told the tokens that hold the step boundary
and stops at them itself; what it stops too early (at a leading blank line) is continued, what it
does not know to stop (a boundary spread over several tokens, a final answer) is ended here.

Differs from our own engine: a draw from what is left takes known tokens up to a place that is
decided here, one token there with those taken ruled out, then the rest freely
(`policies/remainder.py`; under top_p a known step is drawn again, `policies/resampling.py`). And
what shares a batch may change a rounding, and so a draw.
"""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from stepnav.core.errors import BackendDown, ConfigError, one_line
from stepnav.core.requests import Ask, PolicyRequest, Propose
from stepnav.core.seeds import derive_seed
from stepnav.engine.checkpoint.loading import load_structure, load_tokenizer, require_torch
from stepnav.engine.checkpoint.model_folder import checked_folder
from stepnav.engine.row import Row
from stepnav.engine.vllm import VllmRunner, require_vllm
from stepnav.policies.local.prompt import PolicyFormat, StepCutter
from stepnav.policies.local.samples import Sample
from stepnav.policies.local.token_policy import TokenPolicy, end_tokens, unwritable_tokens
from stepnav.policies.remainder import is_told, shares, told_temperature
from stepnav.policies.resampling import MAX_DRAWS, Known

MAX_STOPS = 100
"""Tokens at which vLLM stops; its GPU runner takes 128, and compares each with every new token."""

MAX_BIASED = 500
"""Tokens that are never drawn; its GPU runner takes 1024, those that were taken at a place too."""

TINY = 1e-30
"""No share is less, so that it has a logarithm."""

BIAS = -100.0
"""The lowest that it takes: never drawn."""

NUM_LISTED = 20
"""Likely tokens that are told at each place; vLLM's own limit."""


@dataclass(eq=False, slots=True, kw_only=True)
class Drawn(Sample):
    """A sample that begins with known tokens, or may be drawn again.

    Attributes:
      known: what it must not be; shared by a request's samples.
      again: how often it was drawn before.
    """

    known: Known | None = None
    again: int = 0

    def begin_again(self) -> None:
        """Go back to the prompt; what was drawn still counts."""
        del self.tokens[self.wanted[-1] + 1 - self.num_known :]
        self.steps, self.start, self.num_known = [], len(self.tokens), 0
        self.wanted = (self.start - 1,)
        self.num_step_tokens, self.logprob = 0, 0.0
        self.again += 1
        self.num_draws += 1


class VllmPolicy(TokenPolicy):
    """Proposes steps and completes solutions with vLLM.

    Args:
      folder: made by `save_pretrained`.
      format: prompt and step settings; None takes those saved beside the model, else the defaults.
      dtype: "float32", "bfloat16" or "float16".
      max_batch: most samples that run at once.
      max_step_tokens, max_tokens: as of `LocalPolicy`.
      options: further options of vLLM, as `vllm serve` takes them, in one text.
    Raises:
      ConfigError: vLLM is not installed, knows no such option, or cannot run the model.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        format: PolicyFormat | None = None,  # noqa: A002
        dtype: str = "float32",
        max_batch: int = 64,
        max_step_tokens: int = 128,
        max_tokens: int = 1024,
        options: str = "",
    ) -> None:
        require_vllm()
        path = checked_folder(folder)
        structure, tokenizer = _structure(path), load_tokenizer(path)
        usual = ["--dtype", dtype, "--max-num-seqs", str(max_batch), "--enable-prefix-caching"]
        runner = _Sampling(path, usual, options)
        try:
            super().__init__(
                runner,
                structure,
                tokenizer,
                format or PolicyFormat.load(path),
                max_step_tokens=max_step_tokens,
                max_tokens=max_tokens,
            )
            self._context = min(self._context or runner.context, runner.context)
            banned = unwritable_tokens(structure, tokenizer)[:MAX_BIASED]
            runner.bias = dict.fromkeys(banned, BIAS)
            runner.ends = sorted(end_tokens(structure, tokenizer))
            runner.learn_boundaries(tokenizer, self.format, self._cutter)
        except BaseException:
            runner.clear()
            raise

    def _begin_sample(
        self, request: PolicyRequest, prompt: Sequence[int], limit: int, before: Sequence[Sample]
    ) -> Sample:
        earlier = cast(Sequence[Drawn], before)
        sample = cast(Drawn, Drawn.of(request, prompt, limit, self._tries, before))
        if not is_told(request.sampling):
            sample.drawing = None
        sample.known = earlier[0].known if earlier else Known(request)
        if sample.drawing is not None and sample.drawing.taken:
            if sample.drawing.is_exhausted:  # one token tells that to the queue
                sample.drawing, sample.limit, sample.again = None, 1, MAX_DRAWS
            elif not request.sampling.temperature:
                sample.drawing = None  # what it draws is known
            else:
                sample.depart()
        return sample

    def _take(self, asked: Sequence[tuple[Row, int]], outputs: Any) -> None:
        for (row, _), output in zip(asked, outputs):
            self._write(cast(Drawn, row), output)

    def _write(self, sample: Drawn, output: Any) -> None:
        """Add the tokens that vLLM brings, up to where the sample ends."""
        (part,) = output.outputs
        for token, listed in zip(part.token_ids, part.logprobs or ()):
            if sample.drawing is not None:
                logs = _allowed(listed, self.runner.bias)
                told = told_temperature(sample.request.sampling)
                shared = shares(logs, token, sample.drawing.taken, told)
                sample.drawing.add(token, *shared, ("", listed[token].logprob))
            if self._writer.add(sample, token, listed[token].logprob):
                self._end(sample)
                return
        if output.finished:  # where vLLM ends and our rule does not
            if not part.token_ids:
                raise BackendDown(f"vLLM gave up a sample ({part.finish_reason})", provider="vllm")
            self.runner.submit(sample)

    def _end(self, sample: Drawn) -> None:
        """Keep what was drawn, or draw again where it is known."""
        self.runner.release(sample, keep=True)
        known = sample.known
        assert known is not None, "it is set with the sample"
        if known.takes(sample.steps[0], sample.again):
            self._finish(sample, keep=True)
        elif sample.again + 1 < known.max_draws and sample.left > 0:
            sample.begin_again()
            self.runner.submit(sample)
        else:
            sample.steps = []
            self._finish(sample, keep=False)


class _Sampling(VllmRunner):
    """Asks vLLM for samples.

    Attributes:
      bias: token -> what is added to its logit.
      ends: tokens that end a solution.
      boundaries: tokens that hold the step boundary, as many as are told to vLLM.
      knows_boundaries: whether a step ends at no other token.
      knows_ends: whether a solution ends at `ends` alone.
    """

    bias: dict[int, float]
    ends: list[int]
    boundaries: list[int]
    knows_boundaries: bool
    knows_ends: bool

    def learn_boundaries(
        self,
        tokenizer: Any,
        format: PolicyFormat,  # noqa: A002
        cutter: StepCutter,
    ) -> None:
        """Find the tokens at which vLLM can stop by itself."""
        tokens = sorted(set(tokenizer.get_vocab().values()))
        texts = {token: cutter.after_word(token) for token in tokens}
        found = [token for token in tokens if format.separator in texts[token]]
        found.sort(key=lambda token: len(texts[token]))
        self.boundaries = found[: MAX_STOPS - len(self.ends)]
        # of one byte, so that no tokens make it together
        is_whole = len(format.separator.encode()) == 1 and len(found) == len(self.boundaries)
        self.knows_boundaries = is_whole and not format.end_strings
        self.knows_ends = format.answer_pattern is None and not format.end_strings

    def _asked(self, row: Row) -> tuple[list[int], Any]:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        sample = cast(Drawn, row)
        request, sampling = sample.request, sample.request.sampling
        is_step = isinstance(request, Propose)
        needs_no_look = isinstance(request, Ask) or (
            self.knows_boundaries if is_step else self.knows_ends
        )
        taken = sample.drawing.taken if sample.drawing is not None else ()
        params = SamplingParams(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            # of one that is continued no draw may repeat
            seed=_seed(sample) if sampling.temperature > 0 else None,
            max_tokens=1 if taken else sample.left,
            stop_token_ids=[*self.ends, *(self.boundaries if is_step else ())],
            logit_bias={**self.bias, **dict.fromkeys(taken, BIAS)} or None,
            logprobs=0 if sample.drawing is None else NUM_LISTED,
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY if needs_no_look else RequestOutputKind.DELTA,
        )
        return list(sample.tokens), params

    def _read(self, row: Row, output: Any) -> list[tuple[int, Any]]:
        sample = cast(Drawn, row)
        if sample.num_tokens == 0:
            sample.num_cached = min(output.num_cached_tokens or 0, sample.start)
        return [(len(row.tokens) - 1, output)]


def _allowed(listed: Mapping[int, Any], banned: Container[int]) -> dict[int, float]:
    """Return the log-probabilities of listed tokens as they are once others are never drawn."""
    logs = {token: item.logprob for token, item in listed.items() if token not in banned}
    gone = math.fsum(math.exp(item.logprob) for token, item in listed.items() if token in banned)
    left = math.log(max(1 - gone, math.fsum(map(math.exp, logs.values())), TINY))
    return {token: log - left for token, log in logs.items()}


def _seed(sample: Drawn) -> int:
    return derive_seed(sample.seed, sample.num_tokens) if sample.num_tokens else sample.seed


def _structure(folder: Path) -> Any:
    """Return the model without weights, with its own settings of generation.

    Raises:
      ConfigError: it is no causal language model.
    """
    require_torch("transformers")
    from transformers import AutoModelForCausalLM, GenerationConfig

    try:
        structure = load_structure(AutoModelForCausalLM, folder)
        if (folder / "generation_config.json").exists():
            structure.generation_config = GenerationConfig.from_pretrained(folder)
    except Exception as error:  # transformers raises many kinds
        raise ConfigError(
            f"{folder} is no causal language model ({one_line(error)}); name another one"
        ) from None
    return structure
