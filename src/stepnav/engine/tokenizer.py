"""A tokenizer by the `tokenizers` library alone, where a folder's files ask for nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

_MARKS = ("bos_token", "eos_token", "pad_token", "unk_token")

_WITHOUT_EFFECT = {
    "backend", "clean_up_tokenization_spaces", "is_local", "local_files_only", "model_max_length",
    "padding_side", "tokenizer_class",
}  # fmt: skip
"""Settings that change nothing where texts are encoded one by one and decoded as they are."""

_OTHER_FILES = (
    "added_tokens.json", "additional_chat_templates", "chat_template.jinja", "chat_template.json",
    "special_tokens_map.json",
)  # fmt: skip


class Tokenizer:
    """Answers what the package asks of a `transformers` tokenizer, with the same tokens and texts.

    Args:
      backend: a `tokenizers.Tokenizer`.
      marks: the special tokens by their names; None for one that there is not.
    """

    chat_template = None

    def __init__(self, backend: Any, marks: dict[str, str | None]) -> None:
        backend.no_truncation()
        backend.no_padding()
        self._backend = backend
        ids = {name: text and backend.token_to_id(text) for name, text in marks.items()}
        self.bos_token = marks.get("bos_token")
        self.bos_token_id = ids.get("bos_token")
        self.eos_token_id = ids.get("eos_token")
        self.pad_token_id = ids.get("pad_token")
        self.unk_token_id = ids.get("unk_token")
        self.all_special_ids = sorted({token for token in ids.values() if token is not None})
        self.added_tokens_decoder = backend.get_added_tokens_decoder()

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        """Return a text's tokens."""
        ids: list[int] = self._backend.encode(text, add_special_tokens=add_special_tokens).ids
        return ids

    def decode(
        self,
        ids: Sequence[int],
        *,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool = False,
    ) -> str:
        """Return the text of some tokens; blanks are never cleaned up."""
        assert not clean_up_tokenization_spaces, "only transformers' tokenizers clean up"
        text: str = self._backend.decode(ids, skip_special_tokens=skip_special_tokens)
        return text

    def convert_ids_to_tokens(self, token: int) -> str:
        """Return how the vocabulary writes a token."""
        text: str = self._backend.id_to_token(token)
        return text

    def get_vocab(self) -> dict[str, int]:
        """Return all tokens, those added to the vocabulary among them."""
        vocab: dict[str, int] = self._backend.get_vocab(with_added_tokens=True)
        return vocab

    def __len__(self) -> int:
        size: int = self._backend.get_vocab_size(with_added_tokens=True)
        return size


def open_tokenizer(folder: Path) -> Tokenizer | None:
    """Return a folder's tokenizer, None if `transformers` must open it, or say what is wrong."""
    import tokenizers

    if any((folder / name).exists() for name in _OTHER_FILES):
        return None
    try:
        settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        if settings.get("tokenizer_class") != "TokenizersBackend":
            return None
        backend = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception:  # the library raises plain ones
        return None
    marks = {name: value for name, value in settings.items() if name not in _WITHOUT_EFFECT}
    known = {
        token.content for token in backend.get_added_tokens_decoder().values() if token.special
    }
    if not marks.keys() <= {*_MARKS} or not _are_in(known, marks.values()):
        return None
    return Tokenizer(backend, marks)


def _are_in(known: set[str], texts: Iterable[Any]) -> bool:
    return all(text is None or (isinstance(text, str) and text in known) for text in texts)


def following_ids(tokenizer: Any, text: str, before: str) -> list[int]:
    """Return a text's tokens where it follows another one, whose own tokens stay as they are.

    Alone, a tokenizer as Llama 2's puts a blank before it. Where the two are joined in a token, the
    text is taken alone.
    """
    start: list[int] = tokenizer.encode(before, add_special_tokens=False)
    whole: list[int] = tokenizer.encode(before + text, add_special_tokens=False)
    if whole[: len(start)] == start:
        return whole[len(start) :]
    alone: list[int] = tokenizer.encode(text, add_special_tokens=False)
    return alone
