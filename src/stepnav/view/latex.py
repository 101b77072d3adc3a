r"""LaTeX as text that reads well without a typesetter: `\frac{\pi}{2}` becomes `π/2`.

What models write is often half a formula, or none: what is not known here stays as it is, prices
in dollars too. Passes over the text are bounded, and each takes time linear in it.
"""

# ruff: noqa: RUF001

from __future__ import annotations

import re

_SIGNS = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "varepsilon": "ε",
    "zeta": "ζ", "eta": "η", "theta": "θ", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν",
    "xi": "ξ", "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ", "phi": "φ", "varphi": "φ",
    "chi": "χ", "psi": "ψ", "omega": "ω", "Gamma": "Γ", "Delta": "Δ", "Theta": "Θ",
    "Lambda": "Λ", "Pi": "Π", "Sigma": "Σ", "Phi": "Φ", "Psi": "Ψ", "Omega": "Ω",
    "cdot": "·", "times": "×", "div": "÷", "pm": "±", "mp": "∓", "ast": "*", "circ": "∘",
    "le": "≤", "leq": "≤", "ge": "≥", "geq": "≥", "ne": "≠", "neq": "≠", "approx": "≈",
    "equiv": "≡", "sim": "~", "cong": "≅", "propto": "∝", "infty": "∞", "partial": "∂",
    "sum": "∑", "prod": "∏", "int": "∫", "in": "∈", "notin": "∉", "subset": "⊂",
    "subseteq": "⊆", "cup": "∪", "cap": "∩", "emptyset": "∅", "varnothing": "∅",
    "forall": "∀", "exists": "∃", "neg": "¬", "land": "∧", "lor": "∨", "to": "→",
    "rightarrow": "→", "Rightarrow": "⇒", "implies": "⇒", "iff": "⇔", "leftarrow": "←",
    "mapsto": "↦", "angle": "∠", "triangle": "△", "perp": "⊥", "parallel": "∥",
    "ell": "ℓ", "prime": "′", "star": "⋆", "bullet": "•", "square": "□", "Longrightarrow": "⇒",
    "dotsb": "…", "dotsm": "…", "degree": "°",
    "therefore": "∴", "because": "∵", "dots": "…", "ldots": "…", "cdots": "…",
    "mid": "|", "lfloor": "⌊", "rfloor": "⌋", "lceil": "⌈", "rceil": "⌉", "langle": "⟨",
    "rangle": "⟩", "quad": "  ", "qquad": "   ", "left": "", "right": "", "displaystyle": "",
    "big": "", "Big": "", "bigl": "", "bigr": "", "limits": "", "hline": "", "centering": "",
    **{name: name for name in ("sin", "cos", "tan", "log", "ln", "exp", "lim", "max", "min",
                               "gcd", "mod", "det", "cot", "sec", "csc", "arctan",
                               "arcsin", "arccos")},
}  # fmt: skip

_RAISED = str.maketrans("0123456789+-=()ni", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱ")
_LOWERED = str.maketrans("0123456789+-=()n", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₙ")

_IS_LATEX = re.compile(r"\\(?:[A-Za-z]{2,}|[()\[\]$%])")
_WORD = re.compile(r"(?<![A-Za-z])[a-z]{3,}")
_DOLLAR = "\ue000"
"""Stands for a dollar sign that is no bound of a formula; pages hold no private characters."""

# Pandoc's rule for a formula between dollars, by which "$5 and $6" is none.
_DOLLARS = re.compile(r"\$\$([^$]+)\$\$|(?<!\\)\$(?=[^\s$])([^$\n]*[^\s$\\])\$(?!\d)")
_MATRIX = re.compile(
    r"\\begin\{[pbvV]?matrix\}([^\\]*(?:\\(?!begin|end)[^\\]*)*)\\end\{\w*matrix\}"
)
_WRAPPERS = re.compile(
    r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathit|mathbb|mathcal|mbox|operatorname|overline"
    r"|underline|overrightarrow|textnormal|bold|vec|hat|bar)\s?\{([^{}]*)\}"
)
_FRACTION = re.compile(r"\\[dtc]?frac\s?(?:\{([^{}]*)\}|(\d))\s?(?:\{([^{}]*)\}|(\d))")
_ROOT = re.compile(r"\\sqrt\s?(?:\[([^\[\]{}]*)\])?\s?(?:\{([^{}]*)\}|(\d))")
_SCRIPT = re.compile(r"([\^_])\s?(?:\{([^{}]*)\}|([0-9]|[A-Za-z∘](?![A-Za-z])))")
_BINOMIAL = re.compile(r"\\[dt]?binom\s?\{([^{}]*)\}\s?\{([^{}]*)\}")
_MODULUS = re.compile(r"(?:(?<!\s)\s+)?\\pmod\s?(?:\{([^{}]*)\}|(\d))")
_BOX = re.compile(r"\\f?boxed\s?\{([^{}]*)\}")
# Blanks before something are taken from their first one only, else each of them would be tried.
_LINE_BREAK = re.compile(r"(?:(?<![ \t])[ \t]+)?\\\\(?:\[[^\[\]\n]*\])?[ \t]*\n?")
_DISPLAY = re.compile(r"(?:(?<!\s)\s+)?\\[\[\]]\s*")
_MAX_PASSES = 12
"""Formulas nested deeper than this stay as they are inside."""


def readable(text: str) -> str:
    r"""Return the text with its formulas written in plain characters.

    Example:
      >>> readable(r"So \(x^2 = \frac{\pi}{2}\), which is \$5.")
      'So x² = π/2, which is $5.'
      >>> readable("It costs $5 and $6, x^2.")
      'It costs $5 and $6, x^2.'
    """
    if not _IS_LATEX.search(text) and _DOLLARS.sub(_unwrapped, text) == text:
        return text
    text = _MATRIX.sub(_matrix, text)
    if r"\begin{" in text or "&=" in text:
        text = re.sub(r"(?<!\\)&", "", text)
    text = _LINE_BREAK.sub("\n", text)
    text = re.sub(r"\\(?:begin|end)\{[^{}]*\}(?:\{[lcr|]*\})?|\\(?:left|right)\.", "", text)
    text = _DOLLARS.sub(_unwrapped, text.replace(r"\$", _DOLLAR))
    for _ in range(_MAX_PASSES):
        before = text
        text = _SCRIPT.sub(_script, _signs(_WRAPPERS.sub(r"\1", text)))
        text = _MODULUS.sub(r" (mod \1\2)", _BINOMIAL.sub(r"C(\1, \2)", text))
        text = _BOX.sub(r"⟦\1⟧", _ROOT.sub(_root, _FRACTION.sub(_fraction, text)))
        if text == before:
            break
    text = text.replace(_DOLLAR, "$").replace(r"\|", "‖")
    text = _DISPLAY.sub("\n", text).strip("\n")  # a formula on lines of its own
    text = re.sub(r"\\[(),;:!]", _spacing, text)
    return re.sub(r"\\([{}%&#_ ])", r"\1", text.replace("{,}", ","))


def _unwrapped(match: re.Match[str]) -> str:
    """Return a formula without its dollars; prose between two prices keeps them."""
    inner = match[1] or match[2]
    return match[0] if "\\" not in inner and _WORD.search(inner) else inner


def _signs(text: str) -> str:
    return re.sub(r"\\([A-Za-z]+)", lambda match: _SIGNS.get(match[1], match[0]), text)


def _spacing(match: re.Match[str]) -> str:
    """Return what a formula's bounds and spaces become: small spaces a blank, the rest nothing."""
    return " " if match[0][1] in ",;:" else ""


def _matrix(match: re.Match[str]) -> str:
    rows = [" ".join(row.replace("&", " ").split()) for row in re.split(r"\\\\", match[1])]
    return f"({'; '.join(row for row in rows if row)})"


def _fraction(match: re.Match[str]) -> str:
    over, under = match[1] or match[2] or "", match[3] or match[4] or ""
    return f"{_grouped(over)}/{_grouped(under)}"


def _root(match: re.Match[str]) -> str:
    degree = "" if match[1] is None else match[1].translate(_RAISED)
    return f"{degree}√{_grouped(match[2] or match[3] or '')}"


def _script(match: re.Match[str]) -> str:
    """Return a raised or lowered text, in parentheses where it has no characters of that kind."""
    inner = (match[2] if match[2] is not None else match[3]).strip()
    if inner == "∘":
        return "°"
    table = _RAISED if match[1] == "^" else _LOWERED
    if inner and all(ord(character) in table for character in inner):
        return inner.translate(table)
    return match[1] + (inner if len(inner) == 1 else f"({inner})")


def _grouped(text: str) -> str:
    """Return an operand, in parentheses unless it is one word."""
    text = text.strip()
    return text if re.fullmatch(r"[\w.]*|\(.*\)", text) else f"({text})"
