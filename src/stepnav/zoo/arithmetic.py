"""The arithmetic domain: word problems, and an exact checker that labels the policy's mistakes."""

from __future__ import annotations

from stepnav.tasks.arithmetic import problems as arithmetic
from stepnav.zoo.checked import grade_answers, hold_out_by, label_samples_by
from stepnav.zoo.domain import Cards, Domain
from stepnav.zoo.scale import TINY, Scale
from stepnav.zoo.tokenizer import WORD_PATTERN

SCALES: dict[str, Scale] = {"cpu": Scale(), "tiny": TINY}
"""`cpu` makes the shipped models, `tiny` useless ones in seconds."""


DOMAIN = Domain(
    name="arithmetic",
    scales=SCALES,
    prompt_template=arithmetic.PROMPT_TEMPLATE,
    separator=arithmetic.SEPARATOR,
    token_pattern=WORD_PATTERN,
    problem=arithmetic.problem,
    question=lambda problem_id: arithmetic.problem(problem_id).question,
    solve=arithmetic.solve,
    load=arithmetic.load,
    grade=grade_answers,
    label=label_samples_by(arithmetic.rate_steps),
    hold_out=hold_out_by(arithmetic.rate_steps),
    cards=Cards(
        policy="""\
A Llama-architecture language model, trained from scratch, that writes step-by-step solutions of \
grade-school word
problems, and often gets them wrong.""",
        prm="""\
It rates each step of a solution as negative (wrong), neutral (right but unneeded) or positive \
(right and needed).""",
        data="""\
Word problems from the package's own generator (`stepnav.tasks.arithmetic`): ten kinds of everyday \
stories, told in the
order in which they are solved, with 3 to 8 dependent calculations. A solution is one step \
per line and ends with
`#### answer`. A question's hash decides whether it belongs to train, dev or test, so that no \
test question is ever drawn
in training.""",
        labels="""\
The policy was sampled on training questions that the language model had not seen (temperatures
{temperatures}), and searched on {searches} more under a first reward model that had learned from \
the samples; an exact
checker labelled {steps} steps of {solutions} solutions, up to the first wrong one of each.""",
        held_out={
            "samples": "The policy's own samples at temperature 1, labelled by the exact checker"
        },
        limits="""\
The models know these stories and nothing else: other wording, larger numbers or other kinds of \
arithmetic are outside their
data. They are meant for trying search methods offline, for tests and for teaching, not for \
solving real problems.""",
    ),
)
