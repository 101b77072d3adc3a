"""An OpenAI-compatible server whose every deviation is a switch, on a real socket.

Its model knows one solution per question and seed, made of short words; a token is a word with the
white space after it. Going on from a prefix continues that solution, so that continuation, stop
strings, seeds and token counts are all exact and can be checked by hand.
"""

from __future__ import annotations

import contextlib
import json
import random
import re
import socket
import threading
import time
import zlib
from dataclasses import dataclass, field, fields
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from stepnav.policies.openai.backend import OpenAIPolicy
from stepnav.remote.options import ServerOptions

ASKED_AGAIN = "This is the solution so far:"


@dataclass
class Behaviour:
    """What the server does; the defaults honour everything."""

    apis: tuple[str, ...] = ("completions", "chat")
    model: str = "fake"
    other_models: tuple[str, ...] = ()
    n: str = "honoured"  # copies, ignored
    stop: str = "removed"  # kept, ignored
    keep_stop_field: str | None = None
    names_stop: bool = False
    seed: str = "honoured"  # alone, ignored
    temperature: str = "honoured"  # generation_config, ignored
    logprobs: bool = True
    max_logprobs: int = 20
    excludes: bool = True
    continues: str = "continue_final_message"  # prefix, plain, no
    trims_prefix: bool = False
    repeats_when_asked: bool = False
    usage: bool = True
    keeps_max_tokens: bool = True
    max_temperature: float | None = None
    takes_zero_temperature: bool = True
    context_tokens: int | None = None
    tells_context: bool = True
    counts_prompt: str = "exactly"  # at least, not
    max_tokens_field: str = "max_tokens"
    max_tokens_limit: int | None = None
    refused: tuple[str, ...] = ()
    refusal: str = "detail"  # pydantic, param
    blank_lines: int = 0
    cached: int = 0
    api_key: str | None = None
    solution: str | None = None
    delay_s: float = 0.0


ALL_HONOURED = Behaviour()

LOGPROB = -2.0
"""Of each token, and of the same one with a "+" before it: what else there is, is not listed."""

KNOWN = {
    *("model", "prompt", "messages", "temperature", "top_p", "n", "seed", "stop", "logprobs"),
    *("max_tokens", "max_completion_tokens", "continue_final_message", "add_generation_prompt"),
    *("include_stop_str_in_output", "no_stop_trim", "generation_config", "top_k"),
    *("logit_bias", "return_token_ids", "top_logprobs", "min_p", "repetition_penalty"),
}


@dataclass
class FakeOpenAI:
    """Runs the server; a context manager.

    `bodies` holds every generation request that it was sent, `keys` what stood for a key in them;
    after `lives` requests it hangs up on everybody. `port` 0 takes a free one.
    """

    behaviour: Behaviour
    bodies: list[dict[str, Any]] = field(default_factory=list)
    failures: list[tuple[int, dict[str, str], str]] = field(default_factory=list)
    keys: set[str | None] = field(default_factory=set)
    lives: int | None = None
    port: int = 0
    in_flight: int = 0
    most_in_flight: int = 0
    _drawn: int = 0
    _sockets: list[socket.socket] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> FakeOpenAI:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # headers and body in one packet

            def setup(self) -> None:
                super().setup()
                fake._sockets.append(self.connection)

            def handle(self) -> None:
                with contextlib.suppress(OSError):  # the client hung up
                    super().handle()

            def finish(self) -> None:
                with contextlib.suppress(OSError):
                    super().finish()

            def log_message(self, *args: Any) -> None:
                pass

            def do_GET(self) -> None:
                self._send(*fake.models(self.headers.get("Authorization")))

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with fake._lock:
                    fake.in_flight += 1
                    fake.most_in_flight = max(fake.most_in_flight, fake.in_flight)
                try:
                    key = self.headers.get("Authorization")
                    self._send(*fake.respond(self.path, body, key))
                finally:
                    with fake._lock:
                        fake.in_flight -= 1

            def _send(self, status: int, payload: Any, headers: dict[str, str]) -> None:
                data = payload if isinstance(payload, str) else json.dumps(payload)
                encoded = data.encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(encoded)))
                self.end_headers()
                self.wfile.write(encoded)
                self.wfile.flush()

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        for connection in self._sockets:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    @property
    def names(self) -> list[str]:
        return [self.behaviour.model, *self.behaviour.other_models]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def models(self, key: str | None) -> tuple[int, Any, dict[str, str]]:
        does = self.behaviour
        if not self.knows(key):
            return 401, {"error": {"message": f"Incorrect API key provided: {key}"}}, {}
        told = {"max_model_len": does.context_tokens} if does.tells_context else {}
        return 200, {"data": [{"id": name, **told} for name in self.names]}, {}

    def knows(self, key: str | None) -> bool:
        return self.behaviour.api_key is None or key == f"Bearer {self.behaviour.api_key}"

    def _overflow(self, body: dict[str, Any], limit: int) -> str | None:
        """Return vLLM's words for a request that does not fit into the context."""
        does = self.behaviour
        if does.context_tokens is None:
            return None
        whole = does.context_tokens
        if limit > whole:
            return (
                f"max_tokens={limit} cannot be greater than max_model_len=max_total_tokens={whole}."
            )
        prompt = len(words(body.get("prompt") or body["messages"][-1]["content"]))
        if prompt + limit <= whole:
            return None
        begin = f"This model's maximum context length is {whole} tokens. However, you requested "
        if does.counts_prompt == "not":
            bound = f"the upper bound for {whole - limit} input tokens"
            return (
                begin + f"{limit} output tokens and your prompt contains 99 characters ({bound})."
            )
        if does.counts_prompt == "at least":
            most = whole - limit + 1
            return (
                begin
                + f"{limit} output tokens and your prompt contains at least {most} input tokens."
            )
        return begin + f"{limit} tokens and your request has {prompt} input tokens."

    def respond(
        self, path: str, body: dict[str, Any], key: str | None
    ) -> tuple[int, Any, dict[str, str]]:
        does = self.behaviour
        with self._lock:
            self.bodies.append(body)
            self.keys.add(key)
            if self.lives is not None and len(self.bodies) > self.lives:
                raise ConnectionResetError("this server has died")
            if self.failures:
                status, headers, text = self.failures.pop(0)
                return status, text, headers
        if not self.knows(key):
            return 401, {"error": {"message": "Incorrect API key provided"}}, {}
        api = "chat" if path.endswith("/chat/completions") else "completions"
        if api not in does.apis or body["model"] != does.model:
            return 404, {"error": {"message": "The model or endpoint does not exist"}}, {}
        refusal = self._refusal(body)
        if refusal is not None:
            return *refusal, {}
        time.sleep(does.delay_s)
        return 200, self._generate(api, body), {}

    def _refusal(self, body: dict[str, Any]) -> tuple[int, Any] | None:
        does = self.behaviour
        other = {"max_tokens", "max_completion_tokens"} - {does.max_tokens_field}
        if other & set(body):
            message = f"Unsupported parameter: use '{does.max_tokens_field}' instead."
            return 400, {"error": {"message": message, "param": "max_tokens"}}
        limit = body.get(does.max_tokens_field, 0)
        if (overflow := self._overflow(body, limit)) is not None:
            return 400, {"error": {"message": overflow}}
        temperature = body.get("temperature", 1)
        if temperature == 0 and not does.takes_zero_temperature:
            return 422, {"error": {"message": "`temperature` must be strictly positive"}}
        if does.max_temperature is not None and temperature > does.max_temperature:
            return 400, {"error": {"message": "must be at most 1", "param": "temperature"}}
        if does.max_tokens_limit is not None and limit > does.max_tokens_limit:
            message = f"max_tokens must be less than or equal to {does.max_tokens_limit}"
            return 400, {"error": {"message": message}}
        if body.get("logprobs", 0) > does.max_logprobs:
            message = f"Requested sample logprobs of {body['logprobs']}, which is greater than max"
            return 400, {"error": {"message": message, "param": "logprobs"}}
        refused = [name for name in body if name in does.refused or name not in KNOWN]
        if not refused:
            return None
        if does.refusal == "pydantic":
            return 422, {"detail": [{"loc": ["body", refused[0]], "type": "extra_forbidden"}]}
        if does.refusal == "param":
            return 400, {"error": {"message": "Not supported", "param": refused[0]}}
        return 422, {"detail": f"Unexpected fields in the request: {set(refused)}"}

    def _generate(self, api: str, body: dict[str, Any]) -> dict[str, Any]:
        does = self.behaviour
        question, written = self._read_prompt(api, body)
        count = body.get("n", 1) if does.n != "ignored" else 1
        choices, generated = [], 0
        for index in range(count):
            draw = 0 if does.n == "copies" else index
            solution = self._solution(question, body, draw)
            rest = solution[len(written) :]
            while does.excludes and token_id(rest) in body.get("logit_bias", {}):
                rest = f"+{rest}"  # the next likely first token
            text, finish, stopped_at, tokens = self._cut(rest, body)
            generated += len(tokens)
            choice: dict[str, Any] = {"index": index, "finish_reason": finish}
            choice |= {"text": text} if api == "completions" else {"message": {"content": text}}
            if does.names_stop:
                choice["stop_reason"] = stopped_at
            if does.logprobs and body.get("logprobs"):
                choice["logprobs"] = told(api, tokens)
            if does.excludes and body.get("return_token_ids"):
                choice["token_ids"] = [int(token_id(token)) for token in tokens]
            choices.append(choice)
        payload: dict[str, Any] = {"choices": choices}
        if does.usage:
            prompt = len(words(question + written))
            payload["usage"] = {"prompt_tokens": prompt, "completion_tokens": generated}
            payload["usage"]["prompt_tokens_details"] = {"cached_tokens": does.cached}
        return payload

    def _read_prompt(self, api: str, body: dict[str, Any]) -> tuple[str, str]:
        """Return the question and what of its solution is already written."""
        does = self.behaviour
        if api == "completions":
            question, _, written = body["prompt"].partition("\n")
            return question, written
        last = body["messages"][-1]
        question = [message for message in body["messages"] if message["role"] == "user"][-1]
        asked, _, shown = question["content"].partition(f"\n\n{ASKED_AGAIN}\n\n")
        if shown:
            written = shown.partition("\n\nGo on")[0] + "\n"
            return asked, "" if does.repeats_when_asked else written
        if last["role"] != "assistant":
            return asked, ""
        way = "plain"
        if body.get("continue_final_message"):
            way = "continue_final_message"
        elif last.get("prefix"):
            way = "prefix"
        written = last["content"] if way == does.continues else ""
        return asked, written.rstrip() if does.trims_prefix else written

    def _solution(self, question: str, body: dict[str, Any], draw: int) -> str:
        """Return the whole solution that these settings lead to."""
        does = self.behaviour
        if does.solution is not None:
            return does.solution
        temperature = body.get("temperature", 1.0)
        if does.temperature == "ignored":
            temperature = 0
        if does.temperature == "generation_config" and "generation_config" not in body:
            temperature = 0
        with self._lock:
            self._drawn += 1
            drawn = self._drawn
        key: list[Any] = [question]
        if temperature > 0:
            is_obeyed = does.seed == "honoured" and "seed" in body
            if does.seed == "alone":
                time.sleep(0.03)
                is_obeyed = self.most_in_flight == 1
            key += [body["seed"], draw] if is_obeyed else [drawn, draw]
        chance = random.Random(json.dumps(key))
        lines = [f"Step {i}: " + " ".join(_word(chance) for _ in range(4)) for i in range(1, 5)]
        return ("\n" * (1 + does.blank_lines)).join([*lines, f"#### {chance.randrange(100)}"])

    def _cut(self, text: str, body: dict[str, Any]) -> tuple[str, str, str | None, list[str]]:
        """Return the generated text, why it ended, at which stop string, and its tokens."""
        does = self.behaviour
        limit = body.get(does.max_tokens_field, 10_000) if does.keeps_max_tokens else 10_000
        tokens: list[str] = []
        stops = [] if does.stop == "ignored" else body.get("stop", [])
        for token in words(text):
            if len(tokens) == limit:
                return "".join(tokens), "length", None, tokens
            tokens.append(token)
            written = "".join(tokens)
            hit = next((stop for stop in stops if stop in written), None)
            if hit is not None:
                is_kept = does.stop == "kept" or body.get(does.keep_stop_field or "-")
                end = written.index(hit) + (len(hit) if is_kept else 0)
                if does.stop == "kept":
                    end = len(written)  # as transformers: to the end of the token
                return written[:end], "stop", hit, tokens
        return "".join(tokens), "stop", None, tokens


def told(api: str, tokens: list[str]) -> dict[str, Any]:
    """Return the log-probabilities of tokens, and of two likely ones at the place of each."""
    pairs = [{"token": token, "logprob": LOGPROB} for token in tokens]
    likely = [(token.lstrip("+"), f"+{token.lstrip('+')}") for token in tokens]
    if api == "completions":
        lists = [dict.fromkeys(place, LOGPROB) for place in likely]
        logprobs = [LOGPROB] * len(tokens)
        return {"tokens": tokens, "token_logprobs": logprobs, "top_logprobs": lists}
    others = [[{"token": t, "logprob": LOGPROB} for t in place] for place in likely]
    return {"content": [{**pair, "top_logprobs": o} for pair, o in zip(pairs, others)]}


def token_id(text: str) -> str:
    """Return the id of the first token of a text."""
    return str(zlib.crc32((words(text) or [""])[0].encode()))


def words(text: str) -> list[str]:
    """Return the tokens of a text."""
    return re.findall(r"\S+ ?|\s", text)


def _word(chance: random.Random) -> str:
    return "".join(chance.choice("abcdefghijklmnoprstuvw") for _ in range(5))


def open_policy(base_url: str, model: str | None = None, **options: Any) -> OpenAIPolicy:
    """Return a policy on a server; options are the policy's own and those of its server."""
    names = {field.name for field in fields(ServerOptions)} & set(options)
    server = ServerOptions(**{name: options.pop(name) for name in names})
    return OpenAIPolicy(base_url, model, server=server, **options)
