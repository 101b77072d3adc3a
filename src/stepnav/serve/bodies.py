"""Request bodies: what is read of them, and what may stand in them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

MAX_CHOICES = 64
MAX_SEED = 2**63 - 1


class SearchBody(BaseModel):
    """The `stepnav` object of a request; OpenAI's clients send it by `extra_body`."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    strategy: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    budget_tokens: int | None = Field(default=None, ge=1)
    max_seconds: float | None = Field(default=None, gt=0)
    seed: int | None = Field(default=None, ge=0, le=MAX_SEED)
    reward: str | None = None
    trace: bool | None = None
    problem_id: str | None = Field(default=None, min_length=1, max_length=200)


class StreamOptions(BaseModel):
    """How a stream ends."""

    model_config = ConfigDict(extra="allow")

    include_usage: bool | None = None


class Body(BaseModel):
    """What all kinds of generation requests share; further fields are kept as they are."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)

    model: str
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: int | None = Field(default=None, ge=1, le=MAX_CHOICES)
    temperature: float | None = Field(default=None, ge=0, le=100)
    top_p: float | None = Field(default=None, gt=0, le=1)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    max_output_tokens: int | None = Field(default=None, ge=1)
    seed: int | None = Field(default=None, ge=-MAX_SEED, le=MAX_SEED)
    stepnav: SearchBody | None = None


class Part(BaseModel):
    """A piece of a message."""

    model_config = ConfigDict(extra="allow")

    type: str
    text: str | None = None


class Turn(BaseModel):
    """A message."""

    model_config = ConfigDict(extra="allow")

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None

    @property
    def text(self) -> str:
        """Its text, of all pieces."""
        if isinstance(self.content, list):
            return "\n".join(part.text or "" for part in self.content)
        return self.content or ""

    @property
    def beyond_text(self) -> str | None:
        """What in it is no text; None if there is nothing else."""
        if self.role in ("tool", "function"):
            return f"a turn of the role {self.role}"
        if (self.model_extra or {}).get("tool_calls"):
            return "tool_calls"
        parts = self.content if isinstance(self.content, list) else []
        kinds = {"text", "input_text", "output_text"}
        return next((f"a part of type {p.type[:80]!r}" for p in parts if p.type not in kinds), None)


class ChatBody(Body):
    """`POST /v1/chat/completions`."""

    messages: list[Turn] = Field(min_length=1)


class CompletionsBody(Body):
    """`POST /v1/completions`."""

    prompt: str | list[Any]

    @property
    def text(self) -> str:
        """The prompt; of a list, as some clients send one, its only text."""
        return str(self.prompt[0] if isinstance(self.prompt, list) else self.prompt)


class ResponsesBody(Body):
    """`POST /v1/responses`, as far as it keeps nothing."""

    input: str | list[Turn]
    instructions: str | None = None
