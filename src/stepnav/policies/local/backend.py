"""A policy over any `transformers` decoder, with continuous batching and prefix reuse.

Steps leave the batch when they are finished and waiting requests join at once, so that no row waits
for the longest. A draw depends on the request's seed, the sample's number and the token's position
alone, and in float32 on the CPU the model's outputs do not depend on what shares the batch, but for
the last bits of a mixture of experts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from stepnav.core.errors import BackendError, ConfigError
from stepnav.core.outcome import SearchResult
from stepnav.core.records import Problem, Trajectory
from stepnav.engine.checkpoint.loading import load_model, load_tokenizer, require_torch
from stepnav.engine.checkpoint.model_folder import model_folder
from stepnav.engine.row import Row
from stepnav.policies.local.known import Known
from stepnav.policies.local.prompt import PolicyFormat
from stepnav.policies.local.samples import Sample
from stepnav.policies.local.token_policy import TokenPolicy, unwritable_tokens
from stepnav.policies.remainder import Drawing


class LocalPolicy(TokenPolicy):
    """Proposes steps and completes solutions with a model in this process.

    Args:
      model: a `save_pretrained` folder, a hub name, or a loaded causal language model.
      tokenizer: a loaded tokenizer; None takes the one beside the model.
      format: prompt and step settings; None takes those saved beside the model, else the defaults.
      device: "cpu", "cuda" or "auto"; a loaded model stays where it is.
      dtype: "float32", "bfloat16" or "float16"; a loaded model keeps its own.
      max_step_tokens: limit of a proposed step whose request sets none.
      max_tokens: limit of a completion whose request sets none.
      max_batch: most samples that run at once.
      max_batch_tokens, cache_tokens, pass_tokens: as in `engine.runner.Runner`.
      batch_invariant: pads passes so that float32 results on the CPU do not depend on the batch
        (measured where `engine.attention` says; a mixture of experts' do all the same); off, a
        lone request on a large model is somewhat faster.
      graphs: whether a Llama's passes of single tokens are CUDA graphs; None makes them on a GPU.

    Raises:
      ConfigError: torch is missing, or the model or tokenizer cannot be used.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any = None,
        *,
        format: PolicyFormat | None = None,  # noqa: A002
        device: str = "auto",
        dtype: str = "float32",
        max_step_tokens: int = 128,
        max_tokens: int = 1024,
        max_batch: int = 64,
        max_batch_tokens: int | None = None,
        cache_tokens: int | None = None,
        pass_tokens: int | None = None,
        batch_invariant: bool = True,
        graphs: bool | None = None,
    ) -> None:
        require_torch()
        import torch

        from stepnav.engine.runner import Runner
        from stepnav.policies.local import sampling

        self.known: Known | None = None
        if isinstance(model, (str, Path)):
            folder = model_folder(model)
            self.known = Known.load(folder)
            tokenizer = tokenizer or load_tokenizer(folder)
            format = format or PolicyFormat.load(folder)  # noqa: A001
            model = load_model(folder, "causal", device=device, dtype=dtype)
        elif tokenizer is None:
            raise ConfigError("a loaded model needs its tokenizer; pass tokenizer=")
        self._sample, self._sample_remainder = sampling.sample, sampling.sample_remainder
        unwritable = unwritable_tokens(model, tokenizer)
        self._unwritable = torch.tensor(unwritable, dtype=torch.long, device=model.device)
        runner = Runner(
            model,
            max_batch=max_batch,
            max_batch_tokens=max_batch_tokens,
            cache_tokens=cache_tokens,
            pass_tokens=pass_tokens,
            row_step=16 if batch_invariant else 1,
            output_floats=model.config.get_text_config().vocab_size,
            graphs=graphs,
        )
        shown = format or PolicyFormat()
        limits = {"max_step_tokens": max_step_tokens, "max_tokens": max_tokens}
        super().__init__(runner, model, tokenizer, shown, **limits)

    def doubt(self, problem: Problem, result: SearchResult) -> str | None:
        """Return why a search's answer should not be trusted, in a few words.

        None where nothing speaks against it, or where nothing is saved beside the weights that
        could tell (`known.py`). To be asked when no request is under way.
        """
        if self.known is None:
            return None
        return self.known.doubt(self.question_logprob(problem), result)

    def question_logprob(self, problem: Problem) -> float:
        """Return the log-probability of a problem's prompt, per character of the question.

        To be asked when no request is under way.
        """
        import torch

        tokens, _ = self._encoder.encode(Trajectory(problem))
        row = Row(tokens, tuple(range(len(tokens))))
        self.runner.submit(row)
        if not self.runner.admit():
            while not row.is_settled:
                asked, logits = self.runner.forward()
                row.outputs |= {at: logits[index].clone() for index, (_, at) in enumerate(asked)}
                if len(row.outputs) == len(row.wanted):
                    self.runner.settle(row)
            self.runner.release(row, keep=True)
        following = [
            row.outputs[at].log_softmax(-1)[token] for at, token in zip(row.wanted, tokens[1:])
        ]
        found: list[float] = torch.stack(following).tolist() if following else []
        return sum(found) / max(1, len(problem.question))

    def _go_on(self, rows: Sequence[Sample]) -> None:
        import torch

        self._draw(rows, torch.stack([row.outputs[row.wanted[-1]] for row in rows]))

    def _take(self, asked: Sequence[tuple[Sample, int]], outputs: Any) -> None:
        for index, (row, position) in enumerate(asked):
            if not row.is_settled:
                row.outputs[position] = outputs[index].clone()
                self.runner.settle(row)
        self._draw([row for row, _ in asked], outputs)

    def _draw(self, samples: Sequence[Sample], logits: Any) -> None:
        tracked = [index for index, sample in enumerate(samples) if sample.drawing is not None]
        if tracked:
            free = [index for index, sample in enumerate(samples) if sample.drawing is None]
            self._draw_remainder([samples[i] for i in tracked], logits[tracked] if free else logits)
            if not free:
                return
            samples, logits = [samples[i] for i in free], logits[free]
        settings = [sample.request.sampling for sample in samples]
        tokens, logprobs = self._sample(
            logits,
            [sampling.temperature for sampling in settings],
            [sampling.top_p for sampling in settings],
            [sample.seed for sample in samples],
            [sample.num_tokens for sample in samples],
            self._unwritable,
        )
        for sample, token, logprob in zip(samples, tokens, logprobs):
            if self._is_number(sample, logprob) and self._writer.add(sample, token, logprob):
                self._finish(sample, keep=True)

    def _draw_remainder(self, samples: list[Sample], logits: Any) -> None:
        """Draw for samples that exclude what was drawn before."""
        drawings = [cast(Drawing, sample.drawing) for sample in samples]
        drawn = self._sample_remainder(
            logits,
            [sample.request.sampling for sample in samples],
            [sample.seed for sample in samples],
            [sample.num_tokens for sample in samples],
            [_left(sample) for sample in samples],
            self._unwritable,
        )
        for sample, drawing, (token, logprob, own, rest) in zip(samples, drawings, drawn):
            if not self._is_number(sample, logprob):
                continue
            if token >= 0:
                drawing.add(token, own, rest, ("", logprob))
            if token < 0 or self._writer.add(sample, token, logprob):
                self._finish(sample, keep=True)

    def _is_number(self, sample: Sample, logprob: float) -> bool:
        """Return whether a sample goes on: its request is given up where the model overflows."""
        if sample in self._job_of and math.isnan(logprob):
            message = (
                "the model's output is no number; a model that overflows in half precision needs "
                "--dtype float32 or bfloat16"
            )
            self._give_up(sample, BackendError(message, provider="local"))
        return sample in self._job_of


def _left(sample: Sample) -> list[tuple[int, float]]:
    """Return the tokens that were taken before where a sample stands, with the log of what is left.

    One that left the known steps here takes none of them; one that is drawn greedily still may.
    """
    assert sample.drawing is not None, "only what excludes leaves known steps"
    taken, is_drawn = sample.drawing.taken, sample.request.sampling.temperature > 0
    return [(token, -math.inf if is_drawn else place.left) for token, place in taken.items()]
