# ruff: noqa: RUF001
from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepnav.view.latex import readable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (r"\(\frac{3}{4}\)", "3/4"),
        (r"$\dfrac{x+1}{2y}$", "(x+1)/2y"),
        (r"\frac12 + \frac{\sqrt{2}}{\sqrt[3]{5}}", "1/2 + (√2)/(³√5)"),
        (r"$x^2 + y^{10} = z_{12}$", "x² + y¹⁰ = z₁₂"),
        (r"$a_n = 2^{n-1}, b^{k/2}$", "aₙ = 2ⁿ⁻¹, b^(k/2)"),
        (r"90^\circ \text{ and } \pi r^2 \leq 8\pi\text{ cm}", "90°  and  π r² ≤ 8π cm"),
        (r"\[\boxed{\frac{14}{3}}\]", "⟦14/3⟧"),
        (r"a \\ \\ b \[ \] c \\[2pt] d", "a\n\nb\n\nc\nd"),
        (r"\frac{x^2}{y^{-1}}, \frac{x^2 y}{z}", "x²/(y⁻¹), (x² y)/z"),
        (r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}", "(1 2; 3 4)"),
        (r"\left(3, \frac{\pi}{2}\right)", "(3, π/2)"),
        (r"\begin{align*}x &= 1 \\ y &= 2\end{align*}", "x = 1\ny = 2"),
        (r"So \[x = 5\]where", "So\nx = 5\nwhere"),
        (r"&= \frac{1}{n} \\", "= 1/n"),
        (r"It costs \$5 or 1{,}000\% more.", "It costs $5 or 1,000% more."),
        ("$20 in her bank and $5 more, x^2, my_name", None),
        ("costs $5 and $6", None),
        ("all A$ notes and B$ coins", None),
        (
            r"a wage of $\$20,000$, $7$ people, $ABC$ and $f(x)$",
            "a wage of $20,000, 7 people, ABC and f(x)",
        ),
        (r"3 \equiv 10 \pmod{7}, \binom{n}{2}", "3 ≡ 10 (mod 7), C(n, 2)"),
        (r"\unknown{x} stays, \frac{ too", None),
        ("print('a\\n')  # $x", None),
        (r"my_name = \alpha", "my_name = α"),
    ],
)
def test_readable(text: str, shown: str | None) -> None:
    assert readable(text) == (text if shown is None else shown)


@given(st.text(r"\${}^_[]()frac sqrtbox12&" + "\n"))
def test_any_text_comes_through(text: str) -> None:
    assert readable(text).count("<") == text.count("<")


@pytest.mark.parametrize(
    "part",
    [r"\frac{", r"\sqrt[", "$x^", r"\begin{pmatrix}", "^{", r"\boxed{", "  ", "\n\n", r"\\[.", "²"],
)
def test_hostile_formulas_take_no_time(part: str) -> None:
    began = time.process_time()
    readable(r"\pi" + part * 20_000)
    assert time.process_time() - began < 2
