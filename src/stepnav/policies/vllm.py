"""A policy by vLLM in this process: its batches, its cache of prefixes, its GPUs.

Samples are cut by the rule of our own engine (`policies/local/samples.py`), token by token, so that
steps and solutions end where they would there. vLLM is told the tokens that hold the step boundary
and stops at them itself; what it stops too early (at a leading blank line) is continued, what it
does not know to stop (a boundary spread over several tokens, a final answer) is ended here.

Differs from our own engine: draws without replacement are made by drawing again
(`policies/resampling.py`), and what shares a batch may change a rounding, and so a draw.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from stepnav.policies.local.prompt import PolicyFormat
from stepnav.policies.local.samples import Sample
from stepnav.policies.local.token_policy import TokenPolicy, end_tokens, unwritable_tokens
from stepnav.policies.resampling import Known

MAX_STOPS = 100
"""Tokens at which vLLM stops; its GPU runner takes 128, and compares each with every new token."""

MAX_BIASED = 1000
"""Tokens that are kept from being drawn; its GPU runner takes 1024."""


@dataclass(eq=False, slots=True, kw_only=True)
class Drawn(Sample):
    """A sample that may be drawn again.

    Attributes:
      known: what it must not be; shared by a request's samples.
      again: how often it was drawn before.
    """

    known: Known
    again: int = 0

    def begin_again(self) -> None:
        """Go back to the prompt; what was drawn still counts."""
        del self.tokens[self.wanted[-1] + 1 :]
        self.steps, self.start = [], len(self.tokens)
        self.num_step_tokens, self.logprob = 0, 0.0
        self.again += 1


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
            runner.bias = dict.fromkeys(banned, -100.0)
            runner.ends = sorted(end_tokens(structure, tokenizer))
            runner.learn_boundaries(tokenizer, self.format)
        except BaseException:
            runner.clear()
            raise

    def _begin_sample(
        self, request: PolicyRequest, prompt: Sequence[int], limit: int, before: Sequence[Sample]
    ) -> Sample:
        end, seed = len(prompt), derive_seed(request.seed or 0, request.first + len(before))
        known = cast(Drawn, before[0]).known if before else Known(request)
        return Drawn(
            list(prompt), (end - 1,), limit, request=request, seed=seed, limit=limit, start=end,
            known=known,
        )  # fmt: skip

    def _take(self, asked: Sequence[tuple[Row, int]], outputs: Any) -> None:
        for (row, _), output in zip(asked, outputs):
            self._write(cast(Drawn, row), output)

    def _write(self, sample: Drawn, output: Any) -> None:
        """Add the tokens that vLLM brings, up to where the sample ends."""
        (part,) = output.outputs
        for token, listed in zip(part.token_ids, part.logprobs or ()):
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
        if sample.known.takes(sample.steps[0], sample.again):
            self._finish(sample, keep=True)
        elif sample.again + 1 < sample.known.max_draws and sample.num_tokens < sample.limit:
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

    def learn_boundaries(self, tokenizer: Any, format: PolicyFormat) -> None:  # noqa: A002
        """Find the tokens at which vLLM can stop by itself."""
        tokens = sorted(set(tokenizer.get_vocab().values()))
        texts = {token: tokenizer.decode([token], skip_special_tokens=False) for token in tokens}
        found = [token for token in tokens if format.separator in texts[token]]
        found.sort(key=lambda token: len(texts[token]))
        self.boundaries = found[: MAX_STOPS - len(self.ends)]
        is_whole = len(format.separator) == 1 and len(found) == len(self.boundaries)
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
        params = SamplingParams(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            # of one that is continued no draw may repeat
            seed=_seed(sample) if sampling.temperature > 0 else None,
            max_tokens=sample.limit - sample.num_tokens,
            stop_token_ids=[*self.ends, *(self.boundaries if is_step else ())],
            logit_bias=self.bias or None,
            logprobs=0,
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY if needs_no_look else RequestOutputKind.DELTA,
        )
        return list(sample.tokens), params

    def _read(self, row: Row, output: Any) -> list[tuple[int, Any]]:
        sample = cast(Drawn, row)
        if sample.num_tokens == 0:
            sample.num_cached = output.num_cached_tokens or 0
        return [(len(row.tokens) - 1, output)]


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
