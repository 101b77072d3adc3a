"""vLLM's engine in this process, as a runner of rows (`engine/queue.py`).

Used are `LLMEngine.add_request`, `step` and `abort_request` of vLLM 0.32. Options that the user
gives are read by vLLM's own parser, so that whatever `vllm serve` takes can be said here too.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any, NoReturn

from stepnav.core.errors import BackendDown, ConfigError, one_line
from stepnav.engine.row import Row


class VllmRunner:
    """Runs rows by vLLM: a row that is submitted becomes a request of its engine.

    What is asked of it for a row, and what its output says, are the hooks.

    Args:
      folder: of the model.
      usual: options as `vllm serve` takes them, for instance ["--dtype", "float32"].
      options: the user's own, in one text; they count before the usual ones.
    Raises:
      ConfigError: vLLM is not installed, knows no such option, or cannot run the model.
    """

    def __init__(self, folder: Path, usual: Sequence[str], options: str) -> None:
        self._names: dict[Row, str] = {}
        self._rows: dict[str, Row] = {}
        self._numbers = count()
        self._engine = _open(folder, [*usual, *_words(options)])

    def _asked(self, row: Row) -> tuple[list[int], Any]:
        """Return the tokens that are sent for a row, and vLLM's parameters."""
        raise NotImplementedError

    def _read(self, row: Row, output: Any) -> list[tuple[int, Any]]:
        """Return positions of the row with what vLLM's output brings for them."""
        raise NotImplementedError

    @property
    def context(self) -> int:
        """The most tokens of a row."""
        return int(self._engine.vllm_config.model_config.max_model_len)

    def submit(self, row: Row) -> None:
        """Take a row; its tokens so far are the prompt."""
        from vllm.inputs import tokens_input

        name = str(next(self._numbers))
        tokens, params = self._asked(row)
        try:
            self._engine.add_request(name, tokens_input(tokens), params)
        except Exception as error:
            _fail(error)
        self._names[row], self._rows[name] = name, row

    def admit(self) -> list[Row]:
        """Return rows that need no pass: there are none."""
        return []

    def forward(self) -> tuple[list[tuple[Row, int]], Any]:
        """Let vLLM do one step; return what it brings.

        Raises:
          BackendDown: the engine failed.
        """
        asked: list[tuple[Row, int]] = []
        outputs: list[Any] = []
        if not self._rows:
            return asked, outputs
        try:
            brought = self._engine.step()
        except Exception as error:
            _fail(error)
        for output in brought:
            row = self._rows.get(output.request_id)
            if row is None:  # was left
                continue
            if output.finished:
                del self._rows[self._names.pop(row)]
            for position, value in self._read(row, output):
                asked.append((row, position))
                outputs.append(value)
        return asked, outputs

    def settle(self, row: Row) -> None:
        """Take note that all wanted outputs of a row are known."""
        row.is_settled = True

    def release(self, row: Row, *, keep: bool) -> None:
        """Forget a row; what vLLM keeps of its tokens is vLLM's own affair."""
        self.cancel(row)

    def cancel(self, row: Row) -> None:
        """Forget a row, and end its request if it is under way."""
        name = self._names.pop(row, None)
        if name is not None and self._engine is not None:
            del self._rows[name]
            self._engine.abort_request([name])

    def clear(self) -> None:
        """End the engine; may be called twice."""
        engine, self._engine = self._engine, None
        self._names.clear()
        self._rows.clear()
        if engine is not None:
            engine.engine_core.shutdown()


def check_installed() -> None:
    """Refuse to go on without vLLM; imports nothing.

    Raises:
      ConfigError: it is not installed.
    """
    if find_spec("vllm") is None:
        raise _missing("it is not installed")


def _missing(why: str) -> ConfigError:
    return ConfigError(
        f"vllm:MODEL needs vLLM in this environment ({why}); pip install vllm, or name the URL of "
        "a server that runs it"
    )


def require_vllm() -> None:
    """Import vLLM.

    Raises:
      ConfigError: it is not installed, or cannot be loaded here.
    """
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")  # it tells much of itself otherwise
    try:
        import vllm  # noqa: F401
    except ImportError as error:
        raise _missing(one_line(error)) from None


def _open(folder: Path, words: list[str]) -> Any:
    require_vllm()
    from vllm import EngineArgs, LLMEngine
    from vllm.platforms import current_platform
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    class Parser(FlexibleArgumentParser):  # type: ignore[misc]
        def error(self, message: str) -> NoReturn:
            raise ConfigError(f"vLLM takes no such options ({message}); see vllm serve --help")

    if current_platform.is_cpu():  # a part of a prompt would end a seeded request there
        words = ["--no-enable-chunked-prefill", *words]
    parser = EngineArgs.add_cli_args(Parser(add_help=False, prog="vllm"))
    found = parser.parse_args(["--model", str(folder), *words])
    try:
        return LLMEngine.from_engine_args(EngineArgs.from_cli_args(found))
    except Exception as error:  # vLLM, torch and transformers raise many kinds
        raise ConfigError(f"vLLM cannot run {folder} ({one_line(error)})") from None


def _words(options: str) -> list[str]:
    try:
        return shlex.split(options)
    except ValueError as error:
        raise ConfigError(f"vLLM's options cannot be read ({error}; got {options!r})") from None


def _fail(error: Exception) -> NoReturn:
    raise BackendDown(f"vLLM failed: {one_line(error)}", provider="vllm") from error
