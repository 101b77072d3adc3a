"""What /metrics tells, under OpenTelemetry's names for generative AI where there is one."""

from __future__ import annotations

import os

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from stepnav.core.budget import Usage
from stepnav.core.outcome import SearchResult

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Where several processes keep their counters, so that each can tell those of all."""

OPERATIONS = {"chat": "chat", "completions": "text_completion", "responses": "responses"}
"""Kind of a request -> its `gen_ai.operation.name`."""

SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576)
"""Bounds of buckets, as OpenTelemetry recommends them."""


class Metrics:
    """Counters of one process, or of all workers where `FOLDER_VARIABLE` is set.

    Args:
      model: the policy's name.
    """

    def __init__(self, model: str) -> None:
        self._model = model
        registry = self._registry = CollectorRegistry()
        by_request = ("gen_ai_operation_name", "gen_ai_request_model")
        self.duration = Histogram(
            "gen_ai_server_request_duration_seconds", "Time of a request.",
            (*by_request, "error_type"), registry=registry, buckets=SECONDS,
        )  # fmt: skip
        self.first = Histogram(
            "gen_ai_server_time_to_first_token_seconds", "Time to the first text of a stream.",
            by_request, registry=registry, buckets=SECONDS,
        )  # fmt: skip
        self._usage = Histogram(
            "gen_ai_client_token_usage", "Tokens of a search, all that was generated included.",
            ("gen_ai_request_model", "gen_ai_token_type"), registry=registry, buckets=TOKENS,
        )  # fmt: skip
        self._searches = Counter(
            "stepnav_searches",
            "Searches that ended.",
            ("strategy", "stop_reason"),
            registry=registry,
        )
        self._tokens = Counter(
            "stepnav_tokens", "Tokens by model and use.", ("model", "use"), registry=registry
        )
        self._duplicates = Counter(
            "stepnav_duplicates", "Proposed steps that were there already.", ("strategy",),
            registry=registry
        )  # fmt: skip
        self.refused = Counter(
            "stepnav_refused",
            "Requests refused because the server is full or stops.",
            registry=registry,
        )
        self.left = Counter("stepnav_left", "Searches whose client went away.", registry=registry)
        self._queue = Gauge(
            "stepnav_open", "Requests that are open.", ("kind",), registry=registry,
            multiprocess_mode="livesum",
        )  # fmt: skip

    def add(self, result: SearchResult) -> None:
        """Count a search that ended."""
        self._searches.labels(result.strategy, result.outcome.stop_reason).inc()
        duplicates = sum(node.duplicates for node in result.tree.nodes)
        self._duplicates.labels(result.strategy).inc(duplicates)
        self.add_usage(result.usage)

    def add_usage(self, used: Usage) -> None:
        """Count the tokens of a search, whether it ended or was left."""
        self._usage.labels(self._model, "input").observe(used.policy_prompt_tokens)
        self._usage.labels(self._model, "output").observe(used.policy_tokens)
        for name, use, count in (
            ("policy", "generated", used.policy_tokens),
            ("policy", "failed", used.failed_tokens),
            ("policy", "prompt", used.policy_prompt_tokens - used.policy_cached_tokens),
            ("policy", "cached", used.policy_cached_tokens),
            ("reward", "scored", used.reward_tokens),
            ("reward", "cached", used.reward_cached_tokens),
        ):
            self._tokens.labels(name, use).inc(max(0, count))

    def set_open(self, *, running: int, waiting: int, passed: int) -> None:
        """Note what is open in this process."""
        for kind, count in (("running", running), ("waiting", waiting), ("passed", passed)):
            self._queue.labels(kind).set(count)

    def text(self) -> bytes:
        """Return everything in Prometheus' form."""
        registry = self._registry
        if FOLDER_VARIABLE in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)


def forget_open(pid: int) -> None:
    """Take away what was open in a process that has ended; what it counted stays."""
    if FOLDER_VARIABLE in os.environ:
        mark_process_dead(pid)  # type: ignore[no-untyped-call]
