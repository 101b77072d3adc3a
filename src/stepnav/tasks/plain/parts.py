"""Relations of fractions and percentages."""

from stepnav.tasks.plain.relation import Relation

_PARTS = """
    (What is|What's|How much is|Find) {m/n} of {a}?
    {N} {has} {a} {u}. {m/n} of (them|the {u}) (are|were) (red|new|broken|old|green|sold|eaten). How many (|{u}) (are|is) that?
    {N} (gave|sold|ate|used|lost) {m/n} of {his} {a} {u}. How many (|{u}) (did {he} (give|sell|eat|use|lose)|is that|was that)?
    {m/n} of (the|) {a} (people|students|players|{u}) (are|were) (girls|boys|late|sick|new|{color}). How many (people|students|{u}|) (is|are|was) that?
    {N} had {$a} and (spent|saved|gave away) {m/n} (of it|). How much (did {he} (spend|save|give)|is that|was that)?
"""

FRACTIONS = (
    Relation(
        "fraction",
        "q:X a=q*2",
        "p = a / 2",
        """
        {N} {has} {a} {u}. Half of (them|the {u}) (are|were) (red|new|broken|old|green|lost|sold|eaten). How many (|{u}) (are|is) that?
        {N} {has} {a} {u} and (give{s}|gave|sell{s}|eat{s}|use{s}|lose{s}) half (of them|) (to {F}|away|). How many {u} (are left|{does} {he} have (left|now)|remain|does {he} keep)?
        Half of (the|) {a} (people|students|{u}) (came|left|were gone|are {color}|stayed|went home). How many (was|is) that?
        (What is|What's|How much is|Find|Calculate) (half of|one half of|1/2 of) {a}?
        {N} {has} {a} {u}. {F} {Fhas} half as many. How many (|{u}) does {F} have?
        {N} (spent|used|lost|ate|sold|drank) half of {his} {a} (dollars|{u}). How (many|much) (did {he} (spend|use)|is left|{does} {he} have left)?
        (A|One) half of {a} {u} (is|are) how many?
        A {b1} (that costs|for|of) {$a} is half price (now|today|). How much is it?
        """,
        weight=3,
    ),
    Relation(
        "fraction",
        "n:3,3,3,4,4,4,5,6,8,10 q:M a=q*n",
        "p = a / n",
        """
        {N} {has} {a} {u}. {n:th} of (them|the {u}) (are|were) (red|new|broken|old|green|lost|sold|eaten). How many (|{u}) (are|is) that?
        {N} (gave|sold|ate|used|lost|spent) {n:th} of {his} {a} {u}. How many (|{u}) (did {he} (give|sell|eat|use|lose)|is that|was that)?
        {n:th} of (the|) {a} (people|students|players|{u}) (are|were) (girls|boys|late|sick|new|{color}|wet). How many (people|students|{u}|) (is|are|was) that?
        (What is|What's|How much is|Find) {n:th} of {a}?
        (In|Of) (a class|a group|a box|a team) of {a} (students|people|{u}), {n:th} (are|have|play|wear|like) (new|music|chess|tennis|blue). How many (is that|are that)?
        There are {a} {u}. {n:th} of them (fell|broke|were sold|were taken|are {color}). How many (fell|were that|is that|are {color})?
        """,
        weight=3,
    ),
    Relation(
        "fraction",
        "n:3,4,4,5,6,10 q:S a=q*n",
        "p = a / n; q = a - p",
        """
        {N} {has} {a} {u} and (give{s} away|sell{s}|eat{s}|use{s}|lose{s}) {n:th} of them. How many (|{u}) (are left|{does} {he} have (left|now)|remain)?
        {n:th} of (the|) {a} (people|students|{u}) (left|went home|were sold|were eaten|broke). How many (stayed|are left|remain|are still there)?
        {N} had {$a} and spent {n:th} (of it|of the money). How much (money|) (is left|{does} {he} have left)?
        """,
        weight=1.5,
    ),
    Relation(
        "fraction", "n:4,4,5,5,6,8,10 m:3 q:S a=q*n", "p = a / n; q = p * m", _PARTS, weight=1.3
    ),
    Relation("fraction", "n:3,3,5,7,9 m:2 q:S a=q*n", "p = a / n; q = p * m", _PARTS, weight=1),
    Relation(
        "percent",
        "r:10,20,25,50,5,30,40,60,70,75,80,90,15 w:1-20 a=w*20",
        "p = a % r",
        """
        (What is|What's|How much is|Find|Calculate|Work out|) {r%} of {a}?
        {r%} of (the|) {a} (people|students|{u}|players|voters) (are girls|are new|were {color}|said yes|were late|like tea|have pets|came|failed|passed). How many (people|students|{u}|) (is|are|was) that?
        {N} {has} {a} {u}. {r%} of (them|the {u}) (are|were) (red|new|broken|sold|{color}|ripe). How many (|{u}) (are|is) that?
        {N} (spent|saved|lost|gave away|used|paid) {r%} of {his} {$a}. How much (is that|was that|did {he} (spend|save))?
        (A|The) {b1} (costs|is) {$a}. (There is|You get|I get|It has) (a|) {r%} (discount|off). How much (is the discount|do (you|I) save|is taken off)?
        A {-a} {b1} is {r%} off. How (much|many {dollars}) (do you save|is the discount)?
        The {job} (adds|takes|charges|wants) {r%} (tax|tip|extra) on {$a}. How much is the (tax|tip|fee)?
        {N} answered {r%} of {a} questions (right|correctly|). How many (questions|) is that?
        """,
        weight=4,
    ),
    Relation(
        "percent",
        "r:10,20,25,50,5,30,40,75 w:1-20 a=w*20",
        "p = a % r; q = a - p",
        """
        {r%} of (the|) {a} (people|students|{u}|players) (left|failed|were sold|went home|were bad|dropped out). How many (are left|remained|were not|passed|are still there)?
        (A|The) {b1} (costs|is|was) {$a}. (There is|You get|Now there is) (a|) {r%} (discount|off). (How much is it now|What is the new price|What do you pay|How much does it cost now)?
        A {-a} {b1} is {r%} off. (How much is it now|What is the sale price|What do you pay|What does it cost now)?
        {N} had {$a} and (spent|lost|gave away) {r%} (of it|). How much is left?
        What is {a} (minus|less) {r%}?
        """,
        weight=1.5,
    ),
    Relation(
        "percent",
        "r:10,20,25,50,5 w:1-20 a=w*20",
        "p = a % r; q = a + p",
        """
        (The price|Rent|{his} pay|{his} wage) (was|is) {$a} and (goes|went) up (by|) {r%}. What is it now?
        (A|The) (meal|bill|dinner|taxi) (costs|is|was) {$a} (plus|and) (a|) {r%} (tip|tax|service). (What|How much) do you pay (in all|altogether)?
        """,
        weight=0.7,
    ),
)
