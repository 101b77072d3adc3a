"""What a thinking model thinks before it answers, told from its answer.

No guess in a thought is an answer: it ends no solution, and is graded in none.
"""

from __future__ import annotations

THINK_BEGIN, THINK_END = "<think>", "</think>"
"""Between them stands what a thinking model thinks before it answers."""


def split_thinking(text: str, before: str = "") -> tuple[str, str]:
    r"""Return what a thinking model thought, with its marks, and what it answers.

    The opening mark may be missing, since some chat templates write it into the prompt; the closing
    one is, if the model was cut in the middle.

    Args:
      text: is taken apart.
      before: text that it goes on from.

    Example:
      >>> split_thinking("<think>\nTwo and two.\n</think>\n\n4")
      ('<think>\nTwo and two.\n</think>', '\n\n4')
      >>> split_thinking("<think>\nTwo and")
      ('<think>\nTwo and', '')
      >>> split_thinking("and two.\n</think>4", before="<think>\nTwo ")
      ('and two.\n</think>', '4')
      >>> split_thinking("4")
      ('', '4')
    """
    whole = before + text
    end = whole.find(THINK_END) + len(THINK_END)
    if THINK_END not in whole:
        end = len(whole) if whole.lstrip().startswith(THINK_BEGIN) else 0
    end = max(0, end - len(before))
    return text[:end], text[end:]


def answer_part(text: str, before: str = "") -> str:
    """Return a text without what a thinking model thought; arguments as of `split_thinking`."""
    return split_thinking(text, before)[1]


def thought_text(text: str) -> str:
    r"""Return a thought without its marks.

    Example:
      >>> thought_text("<think>\nTwo and two.\n</think>")
      'Two and two.'
    """
    return text.strip().removeprefix(THINK_BEGIN).removesuffix(THINK_END).strip()


def as_thinking(thought: str, answer: str) -> str:
    """Return the text that a model writes whose server tells thought and answer apart."""
    return f"{THINK_BEGIN}\n{thought.strip()}\n{THINK_END}\n\n{answer.lstrip()}"
