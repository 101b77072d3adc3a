r"""One spelling for what looks the same: Unicode, fonts, spacing and the names of LaTeX commands.

Nothing here changes what an answer says: units, variable names, bases and brackets stay. The result
is LaTeX with `\text{}` for words, `\degree`, `\dollar`, `%` without a backslash, and one blank
where there was any space.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache

MAX_CHARACTERS = 2000
"""Longer answers are compared as they are."""

# No formula holds the beginning of one of its kind, so that none is looked for twice in a text.
MATH = re.compile(
    r"\$\$(.+?)\$\$|(?<!\\)\$([^$]+?)(?<!\\)\$"
    r"|(?<!\\)\\\(((?:(?!(?<!\\)\\\().)+?)\\\)|(?<!\\)\\\[((?:(?!(?<!\\)\\\[).)+?)\\\]",
    re.DOTALL,
)
"""A formula between delimiters."""

_SYMBOLS = {
    **dict.fromkeys("\u2212\u2013\u2014\u2012\u2010\u2011\u2015\ufe63\uff0d", "-"),
    **dict.fromkeys("\u00d7\u2715\u2a2f", r"\times "),
    **dict.fromkeys("\u00b7\u22c5\u2219", r"\cdot "),
    "\u00f7": r"\div ",
    **dict.fromkeys("\u2264\u2a7d", r"\le "),
    **dict.fromkeys("\u2265\u2a7e", r"\ge "),
    "\u2260": r"\ne ",
    "\u2248": r"\approx ",
    "\u221e": r"\infty ",
    "\u221a": r"\sqrt ",
    "\u221b": r"\sqrt[3] ",
    "\u222a": r"\cup ",
    "\u2229": r"\cap ",
    "\u2208": r"\in ",
    "\u2216": r"\setminus ",
    **dict.fromkeys("\u2205\u2300", r"\emptyset "),
    **dict.fromkeys("\u00b0\u00ba\u02da", r"\degree "),
    "\u2103": r"\degree C",
    "\u2109": r"\degree F",
    "\u00b1": r"\pm ",
    "\u2213": r"\mp ",
    **dict.fromkeys("\u2032\u2019\u02b9", "'"),
    **dict.fromkeys("\u2033\u201d\u201c", '"'),
    "\u2026": r"\ldots ",
    "\u2044": "/",
    "\u27e8": r"\langle ",
    "\u27e9": r"\rangle ",
    "\u230a": r"\lfloor ",
    "\u230b": r"\rfloor ",
    "\u2308": r"\lceil ",
    "\u2309": r"\rceil ",
    "\u211d": r"\mathbb{R}",
    "\u2124": r"\mathbb{Z}",
    "\u211a": r"\mathbb{Q}",
    "\u2115": r"\mathbb{N}",
    "\u2102": r"\mathbb{C}",
    "\u20ac": r"\euro ",
    "\u00a3": r"\pound ",
    "\u00a2": r"\text{cents}",
    "\u2212\u221e": r"-\infty ",
}
_GREEK = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho"
_SYMBOLS |= {chr(0x3B1 + n): f"\\{name} " for n, name in enumerate(_GREEK.split())}
_LATER = "sigma tau upsilon phi chi psi omega"
_SYMBOLS |= {chr(0x3C3 + n): f"\\{name} " for n, name in enumerate(_LATER.split())}
_TABLE = str.maketrans({key: value for key, value in _SYMBOLS.items() if len(key) == 1})

_RAISED = dict(zip("\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079", "0123456789"))
_RAISED |= {"\u207a": "+", "\u207b": "-", "\u207f": "n", "\u2071": "i", "\u02e3": "x"}
_LOWERED = {chr(0x2080 + digit): str(digit) for digit in range(10)}
_RAISED_RUN = re.compile(f"[{''.join(_RAISED)}]+")
_LOWERED_RUN = re.compile(f"[{''.join(_LOWERED)}]+")
VULGAR = re.compile("[\u00bc-\u00be\u2150-\u215e\u2189]")

_WORDS = (
    "sqrt|pi|infinity|infty|inf|sin|cos|tan|cot|sec|csc|arcsin|arccos|arctan|sinh|cosh|tanh"
    "|ln|log|exp"
)
_REWRITES: list[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]] = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\\\\\s*\[[^\]]*\]|\\(?:newline|cr)\b", r"\\\\"),
        (r"\\(?:dfrac|tfrac|cfrac)", r"\\frac"),
        (r"\\(?:dbinom|tbinom)", r"\\binom"),
        (r"\\(?:left|right|middle|[bB]igg?[lrm]?)(?![A-Za-z])\.?\s*", ""),
        (r"\{,\}|,\s*\\!\s*|\\!", lambda match: "," if "," in match[0] else ""),
        (r"(?<=\d)(?:\\,|\\ |\u2009|\u202f|\u00a0|~)(?=\d{3}(?!\d))", ""),
        (
            r"(?<!\\)\\[,;:> ]|\\(?:q?quad|thinspace|enspace|hfill|hspace\{[^{}]*\})(?![A-Za-z])|~",
            " ",
        ),
        (r"\\(?:displaystyle|textstyle|limits|rm|bf|it)(?![A-Za-z])", " "),
        (r"\\phantom\s*(?:\{[^{}]*\}|-)", ""),
        (r"^\s*\\approx(?![A-Za-z])", ""),
        (r"\\(?:mathbf|boldsymbol|bm|mathit|mathsf|mathcal|boxed|fbox)\s*\{([^{}]*)\}", r"\1"),
        (
            r"\\(?:textbf|textit|textrm|textnormal|texttt|emph|mathrm|mbox|hbox|operatorname\*?)"
            r"\s*\{",
            r"\\text{",
        ),
        (r"\\text\s*\{", r"\\text{"),
        (r"\\text\{\\text\{([^{}]*)\}\}", r"\\text{\1}"),
        (
            r"\\text\{\s*(sin|cos|tan|cot|sec|csc|ln|log|exp|lcm|gcd|cis"
            r"|arc(?:sin|cos|tan|cot|sec|csc))\s*\}",
            r"\\\1 ",
        ),
        (r"\\text\{\s*([a-z])\s*\}", r"\1"),
        (r"\\text\{\s*([-\d.,]+|[0-9A-Z]+(?=\s*\}\s*_))\s*\}", r"\1"),
        (r"\^\s*(?:\{\s*\\(?:circ|degree)\s*\}|\\circ(?![A-Za-z])|\\degree)", r"\\degree "),
        (r"\\circ(?![A-Za-z])", r"\\degree "),
        (r"\^\s*\{?\s*\\prime\s*\}?", "'"),
        (r"\\%", "%"),
        (r"\\(?:leqslant|leq|leqq)(?![A-Za-z])", r"\\le"),
        (r"\\(?:geqslant|geq|geqq)(?![A-Za-z])", r"\\ge"),
        (r"\\(?:neq|not\s*=)", r"\\ne"),
        (r"\\lt(?![A-Za-z])|&lt;", "<"),
        (r"\\gt(?![A-Za-z])|&gt;", ">"),
        (r"<=", r"\\le "),
        (r">=", r"\\ge "),
        (r"!=", r"\\ne "),
        (r"\+/-|\+-", r"\\pm "),
        (r"\\(?:varnothing|emptyset)(?![A-Za-z])", r"\\emptyset"),
        (r"\\(?:lvert|rvert|vert)(?![A-Za-z])", "|"),
        (r"\\(?:lbrace)(?![A-Za-z])", r"\\{"),
        (r"\\(?:rbrace)(?![A-Za-z])", r"\\}"),
        (r"\\(?:backslash|smallsetminus)(?![A-Za-z])", r"\\setminus "),
        (r"\\(?:dots|cdots|dotsc|dotsb)(?![A-Za-z])|\.\.\.", r"\\ldots "),
        (r"\\(?:ast)(?![A-Za-z])|\*\*(?=\d)", lambda match: "^" if "*" in match[0] else "*"),
        (r"\\(?:pounds)(?![A-Za-z])", r"\\pound"),
        (r"(?<![A-Za-z\\])R(?=\s*\\setminus)|\\(?:R|Reals|reals)(?![A-Za-z])", r"\\mathbb{R}"),
        (rf"(?<![A-Za-z\\])({_WORDS})(?![A-Za-z])", r"\\\1 "),
        (r"\\(?:infinity|inf)(?![A-Za-z])", r"\\infty"),
        (
            r"\\arc(?:sin|cos|tan)|\\a(sin|cos|tan)(?![A-Za-z])",
            lambda m: f"\\arc{m[1]}" if m[1] else m[0],
        ),
        (r"\\sqrt\s+", r"\\sqrt"),
        (r"\{([^{}]+)\\choose\s*([^{}]+)\}", r"\\binom{\1}{\2}"),
        (r"(?<=\d)\.\\dot\{(\d)\}", r".\\overline{\1}"),
        (r"^(-?\d*\.\d*)\((\d+)\)$", r"\1\\overline{\2}"),
        (r"(\d*\.\d*?)(?:(\d)\2+|(\d{2,6}?)\3+)\s*\\ldots", r"\1\\overline{\2\3}"),
        (r"(?<=\d)\s*[xX]\s*(?=10\s*\^)", r"\\times "),
        (r"(?<=\d)\s*(?:\\text\{\s*to\s*\}|\bto\b)\s*(?=\d)", ":"),
        (r"(?:\{\})?_\{?(\d+)\}?\s*C\s*_\s*\{?(\d+)\}?", r"\\binom{\1}{\2}"),
        (r"(?<![A-Za-z\\])C\((\d+),\s*(\d+)\)", r"\\binom{\1}{\2}"),
        (r"^\](?=[^\[\]]*,[^\[\]]*[\[\]]$)", "("),
        (r"(?<=[\d}y])\[$", ")"),
        (r"\\(?:bar|overbar)\{(\d+)\}", r"\\overline{\1}"),
    )
]
_BLANKS = (r"\,", r"\;", r"\:", r"\!", r"\quad", r"\qquad", "~", "\\")
"""White space of LaTeX that may end an answer; of `\\ ` the blank is gone before."""

_SPACED_GROUPS = re.compile(r"[-+]?\d{1,3}(?: \d{3})+(?:\.\d+)?")
_TEXT_ENDS = re.compile(r"\\text\{\s*([^{}]*?)\s*\}")


def undelimited(answer: str) -> str:
    """Return an answer without white space, emphasis, a trailing stop and math delimiters.

    Example:
      >>> undelimited("**$1,400$**."), undelimited("$5 dollars")
      ('1,400', '$5 dollars')
    """
    answer = _trimmed(_trimmed(answer).strip("*`"))
    if answer.endswith((".", ",", ";", ":")) and not answer.endswith(".."):
        answer = _trimmed(_trimmed(answer[:-1]).strip("*`"))
    match = MATH.fullmatch(answer)
    if match:
        answer = _trimmed(next(group for group in match.groups() if group is not None))
    return re.sub(r"(?<!\\)\\(?=[$\d])", "", answer)  # "\15" is a slip for "\$15" that models make


def _trimmed(text: str) -> str:
    r"""Return a text without white space around it and LaTeX's at its end, as of `5\,`."""
    text = text.strip()
    end = len(text)
    while blank := next((one for one in _BLANKS if text.endswith(one, 0, end)), None):
        end -= len(blank)
        if text.endswith("\\", 0, end) and blank.startswith("\\"):  # that is a line break
            return text[: end + len(blank)]
        while end and text[end - 1].isspace():
            end -= 1
    return text[:end]


@lru_cache(maxsize=4096)
def tidy(answer: str) -> str:
    r"""Return the one spelling of an answer.

    Example:
      >>> tidy("x\u00b2 \u2212 \u00bd"), tidy(r"$\dfrac{1}{2}\mbox{ cm}$")
      ('x^{2} - \\frac{1}{2}', '\\frac{1}{2} \\text{cm}')
    """
    text = undelimited(answer)
    if len(text) > MAX_CHARACTERS:
        return re.sub(r"\s+", " ", text)
    text = ascii_symbols(text)
    dollars = text.count("$") - text.count("\\$")
    text = text.replace("\\$", "\\dollar ")
    text = text.replace("$", "\\dollar " if dollars == 1 else "")
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    text = _TEXT_ENDS.sub(r" \\text{\1} ", text)
    text = re.sub(r"\s+", " ", text).strip()
    if _SPACED_GROUPS.fullmatch(text):
        text = text.replace(" ", "")
    while text.startswith("{") and _closes_at_end(text):
        text = text[1:-1].strip()
    return text.removesuffix(".").rstrip()


def ascii_symbols(text: str) -> str:
    """Return a text with LaTeX for mathematical symbols, such as "x^{2}" for a raised 2."""
    if text.isascii():
        return text
    text = VULGAR.sub(vulgar_fraction, text)
    text = _RAISED_RUN.sub(lambda run: "^{" + "".join(_RAISED[c] for c in run[0]) + "}", text)
    text = _LOWERED_RUN.sub(lambda run: "_{" + "".join(_LOWERED[c] for c in run[0]) + "}", text)
    text = re.sub("\u221a\\s*(\\d+(?:\\.\\d+)?)", r"\\sqrt{\1}", text)
    return unicodedata.normalize("NFKC", text.translate(_TABLE)).translate(_TABLE)


def vulgar_fraction(match: re.Match[str]) -> str:
    """Return LaTeX for one character that is a fraction."""
    value = Fraction(unicodedata.numeric(match[0])).limit_denominator(100)
    return f"\\frac{{{value.numerator}}}{{{value.denominator}}}"


def _closes_at_end(text: str) -> bool:
    depth = 0
    for position, character in enumerate(text):
        if position and text[position - 1] == "\\":
            continue
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return position == len(text) - 1
    return False


def spelled(answer: str) -> str:
    r"""Return the tidy text without the blanks that mean nothing.

    Example:
      >>> spelled(r"( 1, \text{ no} )"), spelled("1 1")
      ('(1,\\text{no})', '1 1')
    """
    return re.sub(r"(?<![\w.]) | (?![\w.])", "", tidy(answer))
