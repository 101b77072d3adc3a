"""How a question and its steps become a policy's tokens, and where its steps end.

The settings may be saved beside a model's weights (`stepnav_policy.json`), so that it is asked in
the format it was trained in.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import NoneType
from typing import Any

from stepnav.core.errors import BackendError, ConfigError, one_line
from stepnav.core.records import Message, Problem, Step, Trajectory
from stepnav.core.thoughts import THINK_BEGIN
from stepnav.engine.tokenizer import following_ids
from stepnav.files.atomic import write_text
from stepnav.files.versioned import stamped, unstamped
from stepnav.policies.splitting import PART, check_pattern, cut_at_first, fill

FILE_NAME = "stepnav_policy.json"
MAX_KEPT_PROMPTS = 4096

_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "prompt_template": ((str,), "text"),
    "separator": ((str,), "text"),
    "answer_pattern": ((str, NoneType), "text, or nothing"),
    "add_bos": ((bool, NoneType), "true or false, or nothing"),
    "is_chat": ((bool,), "true or false"),
    "system_prompt": ((str, NoneType), "text, or nothing"),
    "end_strings": ((list, tuple), "a list of texts"),
}
"""Types of the settings, and their names for users of the file and of Python."""


@dataclass(frozen=True, slots=True)
class PolicyFormat:
    """The token format of a policy.

    Attributes:
      prompt_template: how the question is shown; holds "{question}".
      separator: text that ends a step.
      answer_pattern: regular expression; a step in which it is found ends the solution. None leaves
        the end to the model's end-of-sequence token.
      add_bos: whether the tokeniser's BOS token comes first, if it has one; None leaves it to the
        tokeniser's own settings, as the field's harnesses do; chat templates bring their own.
      is_chat: whether the question goes through the tokeniser's chat template as the user's turn;
        steps continue the assistant's.
      system_prompt: the system turn of the chat, if any.
      end_strings: text after which the model has gone past its solution, for instance "Question:";
        the solution ends before it. They hold no separator, where steps are cut already.
    """

    prompt_template: str = "{question}\n"
    separator: str = "\n"
    answer_pattern: str | None = None
    add_bos: bool | None = True
    is_chat: bool = False
    system_prompt: str | None = None
    end_strings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, (kinds, words) in _KINDS.items():
            if not isinstance(value := getattr(self, name), kinds):
                raise ConfigError(f"{name} must be {words} (got {value!r})")
        object.__setattr__(self, "end_strings", tuple(self.end_strings))  # a list in the file
        if "{question}" not in self.prompt_template:
            raise ConfigError(
                f"prompt_template must hold {{question}} (got {self.prompt_template!r})"
            )
        if not self.separator:
            raise ConfigError("separator must not be empty; it is the text that ends a step")
        if not all(
            isinstance(text, str) and text and self.separator not in text
            for text in self.end_strings
        ):
            raise ConfigError(
                "each end string must be text without the separator "
                f"(got {self.end_strings!r}, separator {self.separator!r})"
            )
        check_pattern(self.answer_pattern)

    def save(self, folder: Path) -> None:
        """Write the settings beside a model's weights, whole or not at all."""
        write_text(folder / FILE_NAME, json.dumps(stamped(asdict(self)), indent=2) + "\n")

    @classmethod
    def load(cls, folder: Path) -> PolicyFormat:
        """Return the settings saved beside a model's weights, the defaults if there are none.

        Raises:
          ConfigError: the file is there and is not such a file.
          DataError: it is of another version.
        """
        path = folder / FILE_NAME
        if not path.exists():
            return cls()
        try:
            return cls(**unstamped(json.loads(path.read_text()), path))
        except (ConfigError, ValueError, TypeError, AttributeError) as error:
            raise ConfigError(f"{path} is not a valid policy format ({error})") from None


class PromptEncoder:
    """Turns trajectories into tokens.

    Args:
      tokenizer: the policy's.
      format: its settings.
    """

    def __init__(self, tokenizer: Any, format: PolicyFormat) -> None:  # noqa: A002
        if format.is_chat and not getattr(tokenizer, "chat_template", None):
            raise ConfigError(
                "the tokenizer has no chat template; use a chat model, or leave out --chat "
                f"(is_chat in Python and in {FILE_NAME})"
            )
        self._tokenizer = tokenizer
        self._format = format
        self._prompts: dict[tuple[str, tuple[Message, ...]], list[int]] = {}

    def encode(self, trajectory: Trajectory) -> tuple[list[int], tuple[int, ...]]:
        """Return the tokens of the prompt and all steps, and how many there are after each.

        Raises:
          BackendError: the chat template or the tokenizer refuses it.
        """
        try:
            ids = list(self._prompt(trajectory.problem))
            totals = [len(ids)]
            for step in trajectory.steps:
                ids += self._step(step)
                totals.append(len(ids))
        except Exception as error:  # templates and tokenizers raise any kind
            raise _refused(error) from None
        return ids, tuple(totals)

    def encode_messages(self, messages: Sequence[Message]) -> tuple[list[int], tuple[int, ...]]:
        """Return the tokens of a conversation that the model is to answer, and how many there are.

        A model without a chat template is shown the turns' texts, with a blank line after each.
        Errors are as of `encode`.
        """
        try:
            if getattr(self._tokenizer, "chat_template", None):
                turns = [{"role": message.role, "content": message.content} for message in messages]
                ids = self._encode_turns(turns)
            else:
                text = "".join(f"{message.content}\n\n" for message in messages)
                ids = self._encode_text(text)
        except Exception as error:
            raise _refused(error) from None
        return ids, (len(ids),)

    def _step(self, step: Step) -> Sequence[int]:
        if step.token_ids is not None:
            return step.token_ids
        return following_ids(self._tokenizer, step.text, self._format.separator)

    def _prompt(self, problem: Problem) -> list[int]:
        key = problem.question, problem.context
        known = self._prompts.get(key)
        if known is None:
            if len(self._prompts) >= MAX_KEPT_PROMPTS:
                self._prompts.clear()
            known = self._prompts[key] = self._encode_prompt(problem)
        return known

    def before_solutions(self) -> str:
        """Return the mark that opens a thought if prompts end with it, as some templates' do."""
        with suppress(Exception):  # what refuses this one is told with the others
            text = fill(self._format.prompt_template, "1 + 1 = ?")
            if self._format.is_chat:
                text = self._rendered([{"role": "user", "content": text}])
            return THINK_BEGIN if text.rstrip().endswith(THINK_BEGIN) else ""
        return ""

    def _encode_prompt(self, problem: Problem) -> list[int]:
        text = fill(self._format.prompt_template, problem.question)
        if not self._format.is_chat:
            return self._encode_text(text)
        turns = [{"role": turn.role, "content": turn.content} for turn in problem.context]
        turns.append({"role": "user", "content": text.strip()})
        if self._format.system_prompt is not None:
            turns.insert(0, {"role": "system", "content": self._format.system_prompt})
        return self._encode_turns(turns)

    def _encode_turns(self, turns: list[dict[str, str]]) -> list[int]:
        try:
            text = self._rendered(turns)
        except Exception:
            if turns[0]["role"] != "system":
                raise
            text = self._rendered(_without_system(turns))  # as Gemma's template wants it
        return list(self._tokenizer.encode(text, add_special_tokens=False))

    def _rendered(self, turns: list[dict[str, str]]) -> str:
        return self._tokenizer.apply_chat_template(  # type: ignore[no-any-return]
            turns, tokenize=False, add_generation_prompt=True
        )

    def _encode_text(self, text: str) -> list[int]:
        bos = self._tokenizer.bos_token_id
        if self._format.add_bos is None:
            return _without_end(list(self._tokenizer.encode(text)), self._tokenizer.eos_token_id)
        ids = list(self._tokenizer.encode(text, add_special_tokens=False))
        return [bos, *ids] if self._format.add_bos and bos is not None else ids


def _refused(error: Exception) -> BackendError:
    message = f"the model's chat template or tokenizer refuses the text ({one_line(error)})"
    return BackendError(message, provider="local", status_code=400, code="unreadable")


def _without_system(turns: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return a conversation whose leading system turns stand in the turn after them."""
    count = next((at for at, turn in enumerate(turns) if turn["role"] != "system"), 0)
    texts = [turn["content"] for turn in turns[: count + 1]]
    return [{**turns[count], "content": "\n\n".join(texts)}, *turns[count + 1 :]]


def _without_end(ids: list[int], end: int | None) -> list[int]:
    """Return a prompt's tokens without the end that some tokenizers put after every text."""
    return ids[:-1] if ids and ids[-1] == end else ids


class StepCutter:
    """Finds the ends of steps and of solutions in sampled tokens.

    A step ends with the token that completes the separator, wherever in that token it stands, and
    not before it has any visible text: leading separators belong to the step that follows.

    Args:
      tokenizer: the policy's.
      separator: text that ends a step.
      end_strings: texts before which a solution ends.
    """

    def __init__(self, tokenizer: Any, separator: str, end_strings: Sequence[str] = ()) -> None:
        self._tokenizer = tokenizer
        self._separator = separator
        self._end_strings = tuple(end_strings)
        self._last_characters = {separator[-1], *(text[-1] for text in end_strings)}
        self._may_end: dict[int, bool] = {}
        self._alone: dict[int, str] = {}
        self._word = list(tokenizer.encode("a", add_special_tokens=False))[-1:]

    def may_end(self, token: int) -> bool:
        """Return whether a step or the solution can end at this token at all."""
        known = self._may_end.get(token)
        if known is None:
            text = self.after_word(token)
            known = PART in text or not self._last_characters.isdisjoint(text)
            self._may_end[token] = known
        return known

    def after_word(self, token: int) -> str:
        """Return a token's text where it follows others; alone a blank at its beginning is lost."""
        return self.text(self._word, [token])

    def is_end(self, text: str) -> bool:
        """Return whether the text holds a separator after its first visible character."""
        visible = text.lstrip()
        return self._separator in visible if visible else False

    def before_end_string(self, text: str) -> tuple[str, bool]:
        """Return a step's text before the first end string, and whether it holds one."""
        return cut_at_first(text, self._end_strings)

    def text(self, before: Sequence[int], tokens: Sequence[int]) -> str:
        """Return the text that `tokens` add after `before`; some tokenizers decode by context."""
        if not before:
            return self._decode(tokens)
        start = self._decode_one(before[-1])
        whole = self._decode([before[-1], *tokens])
        return whole[len(start) :] if whole.startswith(start) else self._decode(tokens)

    def _decode_one(self, token: int) -> str:
        known = self._alone.get(token)
        if known is None:
            known = self._alone[token] = self._decode([token])
        return known

    def _decode(self, tokens: Sequence[int]) -> str:
        return self._tokenizer.decode(  # type: ignore[no-any-return]
            tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
