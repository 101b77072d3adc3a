"""Errors as OpenAI's clients know them: a status, and an object naming the parameter."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any

from fastapi.responses import JSONResponse
from pydantic import ValidationError

from stepnav.core.errors import BackendDown, BackendError, BackendTimeout, RateLimited, quote
from stepnav.policies.openai.refusals import context_refusal

logger = logging.getLogger("stepnav")

RETRY_SOON = {"Retry-After": "5"}
"""Header of an answer that a model failed to give."""
MAX_RETRY_S = 86_400

_KINDS = {401: "authentication_error", 429: "rate_limit_error"}


class ApiError(Exception):
    """A request that is not answered.

    Args:
      status: of HTTP.
      message: what is wrong, the value got, what is allowed; one line.
      param: the parameter at fault, as in "stepnav.budget_tokens".
      code: a word for programs.
      headers: of the response.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.param, self.code = status, param, code
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """Return the error object."""
        kind = _KINDS.get(self.status)
        kind = kind or ("server_error" if self.status >= 500 else "invalid_request_error")
        fields = {"message": str(self), "type": kind, "param": self.param, "code": self.code}
        return {"error": fields}

    def response(self) -> JSONResponse:
        """Return the whole response."""
        return JSONResponse(self.body(), self.status, self.headers)


def invalid(error: ValidationError) -> ApiError:
    """Return the error for a body that does not have the form that it must have."""
    first = error.errors(include_url=False, include_context=False)[0]
    param = ".".join(str(part) for part in first["loc"] if part not in ("str", "list[Part]"))
    if first["type"] == "extra_forbidden":
        return ApiError(400, f"there is no parameter {param!r}", param=param, code="unknown_field")
    if first["type"] == "missing":
        return ApiError(400, f"{param} is missing", param=param, code="missing_field")
    got = quote(repr(first["input"]))
    return ApiError(400, f"{param}: {first['msg']} (got {got})", param=param, code="invalid_value")


def gateway_error(status: int, message: str) -> ApiError:
    """Return the error for a model server that gave no usable answer."""
    return ApiError(status, message, code="upstream_failed", headers=RETRY_SOON)


def stopping() -> ApiError:
    """Return the error for a request that a server which was told to stop does not answer."""
    return ApiError(503, "the server stops", code="stopping", headers={"Retry-After": "1"})


def failed(error: BackendError | None, message: str) -> ApiError:
    """Return the error for a search whose model did not answer.

    Args:
      error: the model's; None where the strategy itself failed, which is a defect.
      message: what is said about it.
    """
    if error is None:
        return ApiError(500, message, code="search_failed")
    if error.status_code in (400, 413, 422):
        is_too_long = context_refusal(message) is not None
        code = "context_length_exceeded" if is_too_long else "upstream_refused"
        return ApiError(400, message, code=error.code or code)
    headers = RETRY_SOON
    if error.wait_s is not None:
        headers = {"Retry-After": str(math.ceil(min(max(1.0, error.wait_s), MAX_RETRY_S)))}
    if isinstance(error, RateLimited):
        return ApiError(429, message, code="upstream_busy", headers=headers)
    # its address, and what it says of its key, are not for clients
    if isinstance(error, BackendDown):
        logger.warning("a model failed: %s", message)
        message = "a model behind this server cannot be used now; try again later"
    status = 504 if isinstance(error, BackendTimeout) else 502
    return ApiError(status, message, code="upstream_failed", headers=headers)
