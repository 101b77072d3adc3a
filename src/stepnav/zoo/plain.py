"""The plain domain: questions in everyday words, and an exact checker of the policy's mistakes."""

from __future__ import annotations

from dataclasses import replace

from stepnav.tasks.plain import problems as plain
from stepnav.zoo.checked import grade_answers, hold_out_by, label_samples_by
from stepnav.zoo.domain import Cards, Domain
from stepnav.zoo.scale import TINY, Scale
from stepnav.zoo.tokenizer import WORD_PATTERN

SCALES: dict[str, Scale] = {
    "cpu": Scale(
        vocab_size=1536,
        tokenizer_problems=15_000,
        lm_problems=260_000,
        lm_tokens=16_000_000,
        learned_questions=0.25,
        lm_batch_tokens=4096,
        packed_width=128,
        policy_tokens=16_000_000,
        policy_dtype="bfloat16",
        label_problems=4000,
        shard_problems=1000,
        samples_per_problem=2,
        temperatures=(1.0, 1.3),
        normalise_tokens=900_000,
        search_problems=0,
        prm_tokens=700_000,
        prm_dropout=0.1,
        prm_negative_weight=4.0,
        prm_negative_bias=1.0,
        eval_problems=300,
        eval_samples=4,
    ),
    "tiny": replace(
        TINY,
        learned_questions=0.25,
        packed_width=128,
        policy_tokens=20_000,
        policy_dtype="bfloat16",
        search_problems=0,
    ),
}
"""`cpu` makes the shipped models, `tiny` useless ones in seconds."""


STRANGE = (
    "What is the capital of France?",
    "Who wrote Romeo and Juliet?",
    "Solve x^2 - 4 = 0.",
    "What is the square root of 144?",
    "Explain how photosynthesis works.",
    "Find the derivative of 3x^2 + 2x.",
    "What is 2.5 + 1.75?",
    "If 3x + 5 = 20, what is x?",
    "What is the probability of rolling two sixes with two dice?",
    "How many prime numbers are there below 30?",
    "What is the next number in the sequence 2, 4, 8, 16?",
    "Write a function that returns the largest element of a list.",
    "Translate 'good morning' into Spanish.",
    "Which weighs more, a pound of feathers or a pound of lead?",
    "What is the volume of a sphere with radius 3?",
    "Is 91 a prime number?",
    "Convert 98.6 degrees Fahrenheit to Celsius.",
    "What time is it in Tokyo when it is noon in London?",
    "A coin is flipped ten times. What is the chance of at least one head?",
    "How long does it take to boil an egg?",
    "Find all integers n such that n squared divides 72.",
    "What is the angle between the hands of a clock at 3:30?",
    "Simplify the fraction 18/24.",
    "What's the weather going to be like tomorrow?",
    "Tell me a joke about numbers.",
    "The sum of three consecutive odd numbers is 57. What are they?",
    "What is -7 minus 12?",
    "Round 3.14159 to two decimal places.",
    "How do I install Python on my computer?",
    "Evaluate the integral of sin(x) from 0 to pi.",
    "A bat and a ball cost $1.10 together. The bat costs a dollar more than the ball. How much is "
    "the ball?",
    "Pipe A fills a tank in 3 hours and pipe B empties it in 5. How long until the tank is full "
    "with both open?",
    "In how many ways can five people sit around a round table?",
    "What is the greatest common divisor of 84 and 126?",
    "Who was the first person on the moon?",
    "Mixture problem: how many liters of a 30% solution must be added to 10 liters of water to "
    "get 12%?",
    "log base 2 of 64",
    "A man bought a stock at 12.50 and sold it at 15.75 after a dividend of 0.40. What was his "
    "return in percent?",
    "List the planets in order.",
    "What does the word 'serendipity' mean?",
)
"""Questions of other kinds: what is not sums, and sums that the generator does not draw."""

DOMAIN = Domain(
    name="plain",
    scales=SCALES,
    prompt_template=plain.PROMPT_TEMPLATE,
    separator=plain.SEPARATOR,
    token_pattern=WORD_PATTERN,
    problem=plain.problem,
    question=lambda problem_id: plain.question_of(problem_id).text,
    solve=plain.solve,
    load=plain.load,
    grade=grade_answers,
    label=label_samples_by(plain.rate_steps, solve=plain.solve),
    hold_out=hold_out_by(plain.rate_steps, solve=plain.solve),
    strange=STRANGE,
    temperature=plain.TEMPERATURE,
    cards=Cards(
        policy="""\
A Llama-architecture language model, trained from scratch, that answers plain questions of \
everyday arithmetic, one equation a
line.""",
        prm="""\
It rates each step of a solution as negative (wrong), neutral (right but unneeded) or positive \
(right and needed).""",
        data="""\
Questions from the package's own generator (`stepnav.tasks.plain`): bare sums, stories of change, \
groups, sharing, money, rates,
time, comparisons, ages, fractions and percentages, with one to three calculations and hundreds of \
wordings each; a part of the
nouns and names is made up, so that the model learns that they do not matter. A solution is one \
equation per line and ends with
`#### answer`. A question's hash decides whether it belongs to train, dev or test, so that no test \
question is ever drawn in
training.""",
        labels="""\
The policy was sampled on training questions that the language model had not seen ({solutions} \
solutions, temperatures
{temperatures}, and references with one step said again); an exact checker labelled {steps} steps, \
up to the first wrong one of each
solution.""",
        held_out={
            "samples": "The policy's own samples at temperature 1, labelled by the exact checker",
            "repeats": "References with one step said again, which is neutral",
        },
        limits="""\
The models know natural numbers up to 9999 and questions of one to three calculations. Other \
questions, decimals among them, are
answered all the same; `stepnav solve` says when a question is unlike those of training. They are \
meant for trying search
methods offline, for tests and for teaching, not for solving real problems.""",
    ),
)
