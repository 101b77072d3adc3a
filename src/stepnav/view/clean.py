"""Makes text from models, servers and files safe to show on one line.

Such text is untrusted: it may hold terminal escape codes, characters that reverse the reading
direction, or thousands of line breaks. Markup is not handled here: the terminal views build `Text`
objects, which rich does not parse, and the page escapes with `html.escape`.
"""

from __future__ import annotations

import re
import unicodedata

_ESCAPE_CODE = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|[@-_])")
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories that are not shown: controls, formats (direction marks among them), unused."""


def clean_line(text: str) -> str:
    r"""Return the text as one line without anything invisible; white space becomes one blank.

    Example:
      >>> clean_line("2 + 2\n =\x1b[31m 4\x07")
      '2 + 2 = 4'
    """
    return " ".join(clean_block(text).split())


def clean_block(text: str) -> str:
    """Return the text without anything invisible; line breaks and tabs stay."""
    if text.replace("\n", "").replace("\t", "").isprintable():
        return text  # nearly always, and a run's pages clean every step of it
    text = _ESCAPE_CODE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return "".join(
        character
        for character in text
        if character in "\n\t" or unicodedata.category(character) not in _HIDDEN
    )
