"""The tokenizer of the shipped models: byte-level BPE with single digits and a newline of its own.

Operators keep the blanks around them, so that ` + ` is one token. Any text can be encoded.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

BOS, EOS, PAD = "<s>", "</s>", "<pad>"
WORD_PATTERN = r"\n|[0-9]|#### | [+\-*/=] |'s| ?[A-Za-z]+| ?[^\sA-Za-z0-9]+|\s"

CODE_PATTERN = r"\n| {4}|[0-9]| (?:[+\-*/%<>!=]=?|//=?) | ?[A-Za-z]+| ?[^\sA-Za-z0-9]|\s"
"""For code: four blanks of indentation are one token, brackets and quotes are each one."""


def train_tokenizer(
    texts: Iterable[str], *, vocab_size: int = 1024, pattern: str = WORD_PATTERN
) -> Any:
    """Return a `PreTrainedTokenizerFast` trained on texts.

    Args:
      texts: what the vocabulary should be good at.
      vocab_size: size of the vocabulary, at least 300.
      pattern: regular expression of the pieces that no token crosses.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[BOS, EOS, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A $B", special_tokens=[(BOS, tokenizer.token_to_id(BOS))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        padding_side="left",
        model_max_length=512,
        clean_up_tokenization_spaces=False,
    )
