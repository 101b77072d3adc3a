"""A span for each search, by OpenTelemetry's names for generative AI, where its API is installed.

Nothing is sent anywhere unless somebody sets up an exporter, as `opentelemetry-instrument stepnav
serve` does. Neither prompts nor answers stand in a span.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stepnav.core.outcome import SearchResult
from stepnav.serve.errors import ApiError
from stepnav.serve.wanted import Wanted

try:
    from opentelemetry import trace
except ImportError:
    trace = None


class Spans:
    """The spans of the searches that are open."""

    def __init__(self) -> None:
        self._tracer: Any = None if trace is None else trace.get_tracer("stepnav")
        self._open: dict[str, Any] = {}

    @contextmanager
    def of(self, operation: str, wanted: Wanted) -> Iterator[None]:
        """Open a search's span, and end it however the search ends."""
        if self._tracer is None:
            yield
            return
        # not the current one: a stream ends it in another context than it is begun in
        span = self._tracer.start_span(
            f"{operation} {wanted.model}",
            attributes={
                "gen_ai.operation.name": operation,
                "gen_ai.provider.name": "stepnav",
                "gen_ai.request.model": wanted.model,
                "gen_ai.request.choice.count": wanted.n,
                "stepnav.strategy": wanted.search.strategy.name,
            },
        )
        self._open[wanted.search.id] = span
        try:
            yield
        except ApiError as error:
            span.set_attribute("error.type", str(error.status))
            raise
        except BaseException as error:
            span.set_attribute("error.type", type(error).__name__)
            raise
        finally:
            self._open.pop(wanted.search.id, None)
            span.end()

    def tell(self, result: SearchResult) -> None:
        """Note what a search used; called in the engine's thread before its reply is made."""
        span = self._open.get(result.search_id)
        if span is not None:
            span.set_attributes(
                {
                    "gen_ai.response.id": result.search_id,
                    "gen_ai.usage.input_tokens": result.usage.policy_prompt_tokens,
                    "gen_ai.usage.output_tokens": result.usage.policy_tokens,
                    "stepnav.reward_tokens": result.usage.reward_tokens,
                    "stepnav.stop_reason": result.outcome.stop_reason,
                }
            )
