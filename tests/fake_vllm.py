"""A stand-in for the parts of vLLM that stepnav uses: plain transformers behind its engine."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, field
from enum import Enum
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForTokenClassification


class RequestOutputKind(Enum):
    CUMULATIVE = 0
    DELTA = 1
    FINAL_ONLY = 2


@dataclass
class SamplingParams:
    temperature: float
    top_p: float
    seed: int | None
    max_tokens: int
    stop_token_ids: list[int]
    logit_bias: dict[int, float] | None
    logprobs: int
    detokenize: bool
    output_kind: RequestOutputKind


@dataclass
class PoolingParams:
    task: str
    use_activation: bool


@dataclass
class Request:
    name: str
    tokens: list[int]
    params: Any
    drawn: list[int] = field(default_factory=list)
    listed: list[Any] = field(default_factory=list)
    generator: Any = None


class EngineArgs:
    @staticmethod
    def add_cli_args(parser: Any) -> Any:
        for name in ("model", "dtype", "runner", "pooler-config", "tensor-parallel-size"):
            parser.add_argument(f"--{name}")
        parser.add_argument("--max-num-seqs", type=int)
        parser.add_argument("--max-model-len", type=int)
        parser.add_argument("--enable-prefix-caching", action="store_true")
        parser.add_argument("--no-enable-chunked-prefill", action="store_true")
        return parser

    @staticmethod
    def from_cli_args(found: Any) -> Any:
        return found


class LLMEngine:
    """Draws one token a step for at most `max_num_seqs` requests."""

    last: LLMEngine

    @classmethod
    def from_engine_args(cls, args: Any) -> LLMEngine:
        return cls(args)

    def __init__(self, args: Any) -> None:
        LLMEngine.last = self
        self.args, self.requests, self.asked = args, {}, []
        config = AutoConfig.from_pretrained(args.model)
        length = args.max_model_len or config.max_position_embeddings
        if length > config.max_position_embeddings:
            raise ValueError("max_model_len is greater than the derived one")
        self.vllm_config = SimpleNamespace(model_config=SimpleNamespace(max_model_len=length))
        self.engine_core = SimpleNamespace(shutdown=self.shutdown)
        loader = AutoModelForTokenClassification if args.runner else AutoModelForCausalLM
        dtype = getattr(torch, args.dtype)
        self.model = loader.from_pretrained(args.model, dtype=dtype).eval()
        self.is_shut = self.is_broken = False

    def shutdown(self) -> None:
        assert not self.is_shut, "shut down twice"
        self.is_shut = True

    def add_request(self, name: str, prompt: Any, params: Any) -> None:
        tokens = list(prompt["prompt_token_ids"])
        request = Request(name, tokens, params)
        self.asked.append(request)
        if getattr(params, "seed", None) is not None:
            request.generator = torch.Generator().manual_seed(params.seed)
        self.requests[name] = request

    def abort_request(self, names: list[str]) -> None:
        for name in names:
            self.requests.pop(name, None)

    def step(self) -> list[Any]:
        if self.is_broken:
            raise RuntimeError("EngineCore encountered an issue")
        found = []
        for request in list(self.requests.values())[: self.args.max_num_seqs]:
            pools = isinstance(request.params, PoolingParams)
            output = self.pooled(request) if pools else self.drawn(request)
            if output is not None:
                found.append(output)
        return found

    @torch.no_grad()
    def pooled(self, request: Request) -> Any:
        del self.requests[request.name]
        data = self.model(torch.tensor([request.tokens])).logits[0]
        outputs = SimpleNamespace(data=data)
        return SimpleNamespace(request_id=request.name, outputs=outputs, finished=True)

    @torch.no_grad()
    def drawn(self, request: Request) -> Any:
        params = request.params
        logits = self.model(torch.tensor([request.tokens + request.drawn])).logits[0, -1]
        logprobs = logits.log_softmax(-1)
        for token, bias in (params.logit_bias or {}).items():
            logits[token] += bias
        if params.temperature:
            probs = (logits / params.temperature).softmax(-1)
            token = int(torch.multinomial(probs, 1, generator=request.generator))
        else:
            token = int(logits.argmax())
        request.drawn.append(token)
        likely = logprobs.topk(min(params.logprobs, len(logprobs))).indices.tolist()
        told = {int(i): SimpleNamespace(logprob=float(logprobs[i])) for i in [*likely, token]}
        request.listed.append(told)
        is_stopped = token in params.stop_token_ids
        is_full = len(request.drawn) >= params.max_tokens
        finished = is_stopped or is_full
        if finished:
            del self.requests[request.name]
        if not finished and params.output_kind is RequestOutputKind.FINAL_ONLY:
            return None
        start = len(request.drawn) - 1 if params.output_kind is RequestOutputKind.DELTA else 0
        part = SimpleNamespace(
            token_ids=request.drawn[start:],
            logprobs=request.listed[start:],
            finish_reason="stop" if is_stopped else "length" if is_full else None,
        )
        return SimpleNamespace(
            request_id=request.name, outputs=[part], finished=finished, num_cached_tokens=1
        )


def install(monkeypatch: pytest.MonkeyPatch) -> type[LLMEngine]:
    """Put the stand-in where `import vllm` finds it; return its engine, whose `last` is open."""

    def module(name: str, **members: Any) -> ModuleType:
        made = ModuleType(name)
        vars(made).update(members)
        made.__spec__ = SimpleNamespace(name=name)  # type: ignore[assignment]
        monkeypatch.setitem(sys.modules, name, made)
        return made

    module(
        "vllm", EngineArgs=EngineArgs, LLMEngine=LLMEngine, SamplingParams=SamplingParams,
        PoolingParams=PoolingParams, __path__=[],
    )  # fmt: skip
    module("vllm.sampling_params", RequestOutputKind=RequestOutputKind)
    module("vllm.inputs", tokens_input=lambda tokens: {"prompt_token_ids": tokens})
    module("vllm.platforms", current_platform=SimpleNamespace(is_cpu=lambda: True))
    module("vllm.utils", __path__=[])
    module("vllm.utils.argparse_utils", FlexibleArgumentParser=argparse.ArgumentParser)
    return LLMEngine
