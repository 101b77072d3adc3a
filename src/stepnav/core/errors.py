"""Every error that stepnav raises on purpose.

    StepnavError
    ├── ConfigError          a wrong option, file or combination; the user can fix it
    ├── BackendError         a model backend did not answer one request
    │   ├── BackendTimeout   it took too long
    │   ├── RateLimited      it asked us to slow down
    │   ├── BadResponse      it answered something that we cannot use
    │   └── BackendDown      it cannot be reached at all; the whole run stops
    ├── SandboxError         untrusted code could not be run safely
    ├── DataError            a data file is missing, broken or from somewhere else
    └── JournalError         a journal is broken, full or belongs to another run

Wrong arguments to a function stay plain `ValueError` or `TypeError`.
"""

from __future__ import annotations

from typing import TypeVar

Choice = TypeVar("Choice", bound=str)

QUOTE_CHARACTERS = 200
"""Model or server text quoted in a message is cut at this length."""


class StepnavError(Exception):
    """Base of all errors that stepnav raises on purpose; its text is one clear line."""


class ConfigError(StepnavError):
    """A wrong option, file or combination of them."""


class BackendError(StepnavError):
    """A model backend did not answer one request.

    Args:
      message: what happened, what was expected, what to do; one line.
      retryable: whether the same request may succeed later.
      provider: name of the backend, for instance "openai".
      status_code: HTTP status, if there was one.
      failed_tokens: tokens generated for the request and lost with it.
      code: a word for programs, where it says more than the status.

    Attributes:
      wait_s: how long the backend asks to wait before the next request, None if it does not.
    """

    def __init__(
        self,
        message: str,
        *,
        retryable: bool = False,
        provider: str | None = None,
        status_code: int | None = None,
        failed_tokens: int = 0,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.provider = provider
        self.status_code = status_code
        self.code = code
        self.failed_tokens = failed_tokens
        self.wait_s: float | None = None


class BackendTimeout(BackendError):
    """The backend took longer than the time limit of one request."""


class RateLimited(BackendError):
    """The backend asked for fewer requests."""


class BadResponse(BackendError):
    """The backend's answer cannot be used."""


class BackendDown(BackendError):
    """The backend cannot be reached; no later request would fare better."""


class SandboxError(StepnavError):
    """Untrusted code could not be run safely."""


class DataError(StepnavError):
    """A data file is missing, broken, or not of the expected kind."""


class JournalError(StepnavError):
    """A journal cannot be written, cannot be read, or belongs to another run."""


def quote(text: str) -> str:
    """Return foreign text as one quoted line, cut at `QUOTE_CHARACTERS`."""
    if len(text) > QUOTE_CHARACTERS:
        text = text[:QUOTE_CHARACTERS] + "..."
    return repr(text)


def choose(option: str, value: str, allowed: tuple[Choice, ...]) -> Choice:
    """Return a value that is one of some.

    Raises:
      ConfigError: it is not.
    """
    for item in allowed:
        if item == value:
            return item
    raise ConfigError(
        f"{option} must be one of {', '.join(allowed)} "
        f"(got {value!r}){nearest(value, list(allowed))}"
    )


def one_line(error: BaseException) -> str:
    """Return an error's kind and text as one line that is not too long."""
    return f"{type(error).__name__}: {quote(' '.join(str(error).split()))}"


def what_it_did(error: BaseException) -> str:
    """Return `"raised KIND: text"`, or that it tried to end the process, of code that failed."""
    ends = isinstance(error, (SystemExit, KeyboardInterrupt))
    return f"{'tried to end the process:' if ends else 'raised'} {one_line(error)}"


def nearest(name: str, allowed: list[str]) -> str:
    """Return `" (did you mean 'x'?)"` for the closest allowed name, or an empty string."""
    import difflib

    close = difflib.get_close_matches(name, allowed, n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""
