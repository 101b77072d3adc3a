"""A model server that gives the numbers of a tiny checkpoint in the formats of vLLM 0.32,
llama-server
and llama-cpp-python; a plain forward pass of transformers for each text, no engine of ours."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

import httpx
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
)

from stepnav.rewards.families.headed_models import Qwen2ProcessReward

ServerKind = Literal["pooling", "generate", "tokens", "sglang", "llama-server", "llama-cpp-python"]
"""vLLM with `--runner pooling` or without; vLLM before `/generative_scoring`; other servers."""

LOADERS = {
    "prm": AutoModelForTokenClassification,
    "token-classes": AutoModelForTokenClassification,
    "qwen-prm": Qwen2ProcessReward,
    "orm": AutoModelForSequenceClassification,
    "math-shepherd": AutoModelForCausalLM,
    "rlhflow": AutoModelForCausalLM,
}

Answer = tuple[int, Any]


@lru_cache(maxsize=16)
def loaded(folder: Path, family: str) -> tuple[Any, Any]:
    model = LOADERS[family].from_pretrained(folder).eval()
    return model, AutoTokenizer.from_pretrained(folder)


class FakeServer:
    """Answers requests; `seen` holds the path and the body of each, `keys` what authorised it.

    Args:
      folder, family: the checkpoint.
      kind: which server's formats.
      step_tag: for STEP pooling, the only token at which outputs are given.
      max_model_len: the context.
      spoil: may change an answer, given (path, answer).
    """

    def __init__(
        self,
        folder: Path,
        family: str,
        kind: ServerKind,
        *,
        step_tag: int | None = None,
        max_model_len: int = 512,
        spoil: Callable[[str, Answer], Answer] = lambda path, answer: answer,
    ) -> None:
        self.folder, self.family, self.kind = folder, family, kind
        self.step_tag, self.max_model_len, self.spoil = step_tag, max_model_len, spoil
        self.seen: list[tuple[str, Any]] = []
        self.keys: list[str | None] = []

    @property
    def transport(self) -> httpx.MockTransport:
        """Instead of the network."""

        def handle(request: httpx.Request) -> httpx.Response:
            body = json.loads(request.content) if request.content else None
            key = request.headers.get("authorization")
            status, payload = self.respond(request.url.path, body, key)
            return httpx.Response(status, text=text_of(payload))

        return httpx.MockTransport(handle)

    @contextmanager
    def listening(self) -> Iterator[str]:
        """Serve on a port; yields the URL."""
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer(None)

            def do_POST(self) -> None:
                length = int(self.headers.get("content-length", 0))
                self.answer(json.loads(self.rfile.read(length)))

            def answer(self, body: Any) -> None:
                status, payload = fake.respond(self.path, body, self.headers.get("authorization"))
                content = text_of(payload).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def respond(self, path: str, body: Any, key: str | None) -> Answer:
        """Return status and answer."""
        self.seen.append((path, body))
        self.keys.append(key)
        return self.spoil(path, self._respond(path, body))

    def _respond(self, path: str, body: Any) -> Answer:
        if path == "/v1/models":
            model = {"id": str(self.folder), "object": "model", "owned_by": "vllm"}
            return 200, {"object": "list", "data": [model | {"max_model_len": self.max_model_len}]}
        pools = self.kind == "pooling"
        if path == "/pooling" and pools:
            return 200, self._listed([self._pooled(ids, body) for ids in body["input"]])
        if path == "/classify" and pools and self.family == "orm":
            return 200, self._listed([self._classified(ids, body) for ids in body["input"]])
        if path == "/generative_scoring" and self.kind == "generate":
            return 200, self._listed([self._scored(item, body) for item in body["items"]])
        if path == "/generate" and self.kind == "sglang":
            ids = body["input_ids"]
            return 200, [self._generated(*item) for item in zip(ids, body["token_ids_logprob"])]
        if path == "/v1/completions" and not pools:
            return self._completed(body)
        return 404, {"detail": "Not Found"}

    def _outputs(self, ids: list[int]) -> Any:
        """Return [T, C] of a text, or [C] of one for a classifier of texts."""
        model, _ = loaded(self.folder, self.family)
        with torch.inference_mode():
            return model(input_ids=torch.tensor([ids])).logits[0].double()

    def _pooled(self, ids: list[int], body: Any) -> dict[str, Any]:
        rows = self._outputs(ids)
        if self.step_tag is not None:
            rows = rows[torch.tensor(ids) == self.step_tag]
        return {"object": "pooling", "data": activated(rows, body).tolist()}

    def _classified(self, ids: list[int], body: Any) -> dict[str, Any]:
        probs = activated(self._outputs(ids), body).tolist()
        return {"label": "LABEL_0", "probs": probs, "num_classes": len(probs)}

    def _scored(self, item: list[int], body: Any) -> dict[str, Any]:
        assert body["apply_softmax"]
        ids = (body["query"] + item)[: self.max_model_len - 1]  # cut in silence, as there
        labels = self._outputs(ids)[-1, body["label_token_ids"]].softmax(-1)
        return {"object": "score", "score": float(labels[0])}

    def _generated(self, ids: list[int], labels: list[int]) -> dict[str, Any]:
        logprobs = self._outputs(ids)[-1].log_softmax(-1)
        listed = [[float(logprobs[token]), token, None] for token in labels]
        meta = {"prompt_tokens": len(ids), "output_token_ids_logprobs": [listed]}
        return {"text": "", "meta_info": meta}

    def _completed(self, body: Any) -> Answer:
        _, tokenizer = loaded(self.folder, self.family)
        ids = body["prompt"]
        if isinstance(ids, str):
            ids = tokenizer.encode(ids)
        elif self.kind == "llama-cpp-python":
            return 500, {"error": {"message": "prompt must be text", "type": "server_error"}}
        assert body["max_tokens"] == 1
        logprobs = self._outputs(ids)[-1].log_softmax(-1)
        best = logprobs.topk(body["logprobs"]).indices.tolist()
        if self.kind in ("generate", "tokens") and "logprob_token_ids" in body:
            best = [best[0], *body["logprob_token_ids"]]
        listed = [(token, float(logprobs[token])) for token in best]
        choice = {"index": 0, "text": tokenizer.decode(best[:1]), "finish_reason": "length"}
        usage = {"prompt_tokens": len(ids), "completion_tokens": 1, "total_tokens": len(ids) + 1}
        shown = self._logprobs(listed, body, tokenizer)
        return 200, {"choices": [choice | {"logprobs": shown}], "usage": usage}

    def _logprobs(
        self, listed: list[tuple[int, float]], body: Any, tokenizer: Any
    ) -> dict[str, Any]:
        if self.kind == "llama-server":
            items = [
                {"id": token, "token": tokenizer.decode([token]), "logprob": value}
                for token, value in listed
            ]
            return {"content": [items[0] | {"top_logprobs": items}]}
        if body.get("return_tokens_as_token_ids"):
            names = [f"token_id:{token}" for token, _ in listed]
        else:
            pieces = [tokenizer.convert_ids_to_tokens(token) for token, _ in listed]
            names = [piece.replace("▁", " ").replace("Ġ", " ") for piece in pieces]
        values = [value for _, value in listed]
        return {"tokens": names[:1], "top_logprobs": [dict(zip(names, values))]}

    def _listed(self, items: list[dict[str, Any]]) -> dict[str, Any]:
        data = [{"index": index, **item} for index, item in enumerate(items)]
        return {"id": "x", "object": "list", "model": str(self.folder), "data": data, "usage": {}}


def activated(outputs: Any, body: Any) -> Any:
    """Return what vLLM gives: probabilities, unless raw outputs are asked for."""
    if body.get("use_activation") is False:
        return outputs
    return outputs.sigmoid() if outputs.shape[-1] == 1 else outputs.softmax(-1)


def text_of(payload: Any) -> str:
    return payload if isinstance(payload, str) else json.dumps(payload)
