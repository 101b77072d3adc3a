"""Relations of more and less, and of ages."""

from stepnav.tasks.plain.relation import Relation

COMPARISONS = (
    Relation(
        "comparison",
        "b:X c:M a=b+c",
        "s = a - b",
        """
        {N} {has} {a} {u} and {F} {Fhas} {b} (|{u}). How many more (|{u}) {does} {N} have (than {F}|)?
        {N} {has} {a} {u}. {F} {Fhas} {b} {u}. How many (fewer|less) (|{u}) does {F} have (than {N}|)?
        There are {a} {u} and {b} {v} {L}. How many more {u} than {v} (are there|)?
        There are {a} {u} and {b} {v}. How many (fewer|less) {v} (than {u}|) (are there|)?
        {N} (scored|got|won|made|read|sold|picked|collected|jumped|counted) {a} (points|{u}|times|) and {F} {b}. How many more (did {N} (score|get|make|have)|is that)?
        (What is the difference|How big is the difference) between {a} {u} and {b} {u}?
        The {u1} (weighs|is|costs|measures) {a} (pounds|kg|grams|cm|feet|inches) and the {v1} {b} (pounds|kg|grams|cm|feet|inches|). How much (heavier|bigger|longer|taller|more|larger) is the {u1} (than the {v1}|)?
        The {u1} (weighs|is) {a} (pounds|kg|grams|cm|feet). The {v1} (weighs|is) {b}. How much (lighter|smaller|shorter|less) is the {v1}?
        {N} {is} {a} (cm|inches) tall. {F} {Fis} {b} (cm|inches) tall. (How much taller {is} {N}|How much shorter is {F}|What is the difference in height)?
        (By how (many|much)|How many more (points|votes|goals)) did {N} (win|beat {F} by|get) (with|if the score was|when it was) {a} to {b}?
        The (winner|first|red team|home team|older class) (has|got|scored|had) {a} (points|votes|goals) and the (loser|second|other one|guest) {b}. (How big is the lead|How many more did the winner get|What is the difference|By how many did they win)?
        {N} {has} {b} {u} but need{s} {a}. How many (more|) (|{u}) {does} {he} (still|) need?
        {N} {has} {b} {u} and want{s} (to have|) {a}. How many more (must|should|does) {he} (get|need|buy)?
        On {day} {a} (people|{u}) came, on {later} (only|) {b}. How many more (came|were there) on {day}?
        {N} {has} {a} {color} {u} and {b} {shade} (ones|{u}). How many more {color} (ones|{u}) {does} {he} have?
        {N} (work{s}|sleep{s}|read{s}|practice{s}|use{s}) {a} (hours|minutes|{u}) (a day|a week|) and {F} (works|sleeps|reads|needs|uses) {b} (hours|minutes|). How many more (hours|minutes|) {does} {N} (work|need|use)?
        {N} {has} {c} more {u} than {F}. {N} {has} {a}. How many (|{u}) does {F} have?
        {N} {has} {a} {u}, {c} more than {F}. How many (|{u}) does {F} have?
        {N} (got|sold|made|found) {a} {u}. That (is|was) {c} more than {F}. How many (did {F} get|does {F} have)?
        """,
        weight=5,
    ),
    Relation(
        "comparison",
        "a:X c:M",
        "s = a + c",
        """
        {N} {has} {a} {u}. {F} {Fhas} {c} more (|than {N}|{u} than {N}|than {him}). How many (|{u}) does {F} have?
        {F} {Fhas} {c} more {u} than {N}. {N} {has} {a} (|{u}). How many (|{u}) does {F} have?
        {N} (read|made|sold|picked|collected|scored|got|ran) {a} (pages|points|{u}|miles) and {F} {c} more (|than that|than {him}). How many (pages|points|{u}|miles|) did {F} (read|get|make|do|have)?
        There are {a} {u} and {c} more {v} than {u}. How many {v} are there?
        The {u1} (weighs|costs|is) {a} (pounds|kg|dollars|feet). The {v1} (weighs|costs|is) {c} (pounds|kg|dollars|feet|) more. How much (does the {v1} weigh|does the {v1} cost|is the {v1})?
        {N} {has} {c} (fewer|less) {u} than {F}. {N} {has} {a}. How many (|{u}) does {F} have?
        A {u1} is {a} (cm|feet|inches) (long|tall). A {v1} is {c} (cm|feet|inches|) (longer|taller). How (long|tall) is the {v1}?
        What (number|) is {c} more than {a}?
        """,
        weight=2,
    ),
    Relation(
        "comparison",
        "b:M c:M a=b+c",
        "s = a - c",
        """
        {N} {has} {a} {u}. {F} {Fhas} {c} (fewer|less) (|than {N}|{u} than {N}|than {him}). How many (|{u}) does {F} have?
        {F} {Fhas} {c} (fewer|less) {u} than {N}. {N} {has} {a} (|{u}). How many (|{u}) does {F} have?
        {N} (made|sold|picked|collected|scored|got|ran) {a} (points|{u}|miles) and {F} {c} (fewer|less) (|than that|than {him}). How many (points|{u}|miles|) did {F} (get|make|do|have)?
        There are {a} {u} and {c} (fewer|less) {v} than {u}. How many {v} are there?
        A {u1} is {a} (cm|feet|inches) (long|tall). A {v1} is {c} (cm|feet|inches|) shorter. How (long|tall) is the {v1}?
        The {u1} weighs {a} (pounds|kg). The {v1} (weighs|is) {c} (pounds|kg|) (less|lighter). How much does the {v1} weigh?
        The {v1} costs {$c} less than the {u1}, which costs {$a}. How much is the {v1}?
        What (number|) is {c} less than {a}?
        """,
        weight=2,
    ),
    Relation(
        "comparison",
        "a:M k:3-9",
        "p = a * k",
        """
        {N} {has} {a} {u}. {F} {Fhas} {k} times as many (|{u}) (|as {N}|as {him}). How many (|{u}) does {F} have?
        {F} {Fhas} {k} times (as many|more) {u} (as|than) {N}. {N} {has} {a} (|{u}). How many (|{u}) does {F} have?
        {F} {Fhas} {k} times as many {u} as {N}. If {N} {has} {a} (|{u}), how many (|{u}) does {F} have?
        There are {a} {u} and {k} times as many {v}. How many {v} are there?
        {N} (read|made|sold|picked|collected|got|ran) {a} (pages|points|{u}|miles). {F} did {k} times as (many|much). How (many|much) (is that|did {F} do)?
        The {u1} (weighs|costs|is) {a} (pounds|kg|dollars|feet). The {v1} (weighs|costs|is) {k} times as (much|heavy|long). How much is (that|the {v1})?
        A {u1} is {k} times as (long|tall|heavy) as a {v1}. The {v1} is {a} (cm|feet|pounds). How (long|tall|heavy) is the {u1}?
        """,
        weight=2,
    ),
    Relation(
        "comparison",
        "a:M",
        "p = a * 2",
        """
        {N} {has} {a} {u}. {F} {Fhas} (twice as many|double that|two times as many|double) (|{u}). How many (|{u}) does {F} have?
        {F} {Fhas} twice as many {u} as {N}. {N} {has} {a} (|{u}). How many (|{u}) does {F} have?
        {N} (made|sold|picked|collected|got|ran) {a} (points|{u}|miles) (|on {day}|yesterday) and twice as many (on {later}|today|the next day|the day after). How many (was that|is that|did {he} (get|make) (then|on {later}))?
        The {u1} (weighs|costs|is) {a} (pounds|kg|dollars|feet). The {v1} (weighs|costs|is) (twice as (much|heavy|long)|double that). How much is the {v1}?
        There are {a} {u} and (twice|double) as many {v}. How many {v} are there?
        {N} {has} {a} {u} and double{s} (them|that|the number|{his} collection). How many (|{u}) {does} {he} have (now|)?
        (What is|What's|How much is) (twice|double) {a}?
        """,
        weight=2,
    ),
    Relation(
        "comparison",
        "a:M",
        "p = a * 3",
        """
        {N} {has} {a} {u}. {F} {Fhas} (three times as many|triple that) (|{u}). How many (|{u}) does {F} have?
        There are {a} {u} and (three times|thrice) as many {v}. How many {v} are there?
        {N} {has} {a} {u} and triple{s} (them|that|the number). How many (|{u}) {does} {he} have now?
        (What is|What's) (triple|three times) {a}?
        """,
        weight=0.7,
    ),
    Relation(
        "comparison",
        "a:M k:M",
        "p = a + k; q = a + p",
        """
        {N} {has} {a} {u}. {F} {Fhas} {k} more (|than {N}|{u} than {N}|than {him}). How many (|{u}) do they have (together|altogether|in all|in total)?
        {N} (read|made|sold|picked|collected|got) {a} {u} and {F} {k} more than (that|{him}). How many (did they (get|have)|is that) (together|altogether|in all)?
        There are {a} {u} and {k} more {v} than {u}. How many (|things) are there (together|altogether|in all)?
        {N} (ran|walked|made|sold) {a} (miles|{u}) on {day} and {k} more (than that|) on {later}. How many (miles|{u}|) is that (in all|altogether|for both days)?
        """,
        weight=1.5,
    ),
    Relation(
        "comparison",
        "b:M k:M a=b+k",
        "p = a - k; q = a + p",
        """
        {N} {has} {a} {u}. {F} {Fhas} {k} (fewer|less) (|than {N}|{u} than {N}|than {him}). How many (|{u}) do they have (together|altogether|in all|in total)?
        {N} (made|sold|picked|collected|got) {a} {u} and {F} {k} (fewer|less) (than that|than {him}|). How many (did they get|is that|do they have) (together|altogether|in all)?
        """,
    ),
    Relation(
        "comparison",
        "a:M",
        "p = a * 2; q = a + p",
        """
        {N} {has} {a} {u}. {F} {Fhas} twice as many (|{u}). How many (|{u}) do they have (together|altogether|in all|in total)?
        {N} (made|sold|picked|collected|got|ran) {a} (points|{u}|miles) on {day} and twice as many on {later}. How many (is that|did {he} do) (altogether|in all|in total)?
        """,
    ),
    Relation(
        "comparison",
        "a:M k:3-6",
        "p = a * k; q = a + p",
        """
        {N} {has} {a} {u}. {F} {Fhas} {k} times as many (|{u}). How many (|{u}) do they have (together|altogether|in all|in total)?
        There are {a} {u} and {k} times as many {v}. How many (things|) (are there|is that) (together|altogether|in all)?
        """,
    ),
    Relation(
        "comparison",
        "q:M k:3-9 a=q*k",
        "p = a / k",
        """
        {N} {has} {k} times as many {u} as {F}. {N} {has} {a} (|{u}). How many (|{u}) does {F} have?
        {N} {has} {a} {u}, (which is|) {k} times as many as {F}. How many (|{u}) does {F} have?
        """,
    ),
)

AGES = (
    Relation(
        "age",
        "a:2-90 b:2-30",
        "s = a + b",
        """
        {N} {is} {a} (years old|). How old will {he} be in {b} years?
        {N} {is} {a} (years old|) (now|today|). How old {is} {he} {b} years from now?
        {F} {Fis} {a} (years old|). {N} {is} {b} years older. How old {is} {N}?
        {N} {is} {b} years older than {F}, who is {a} (years old|). How old {is} {N}?
        {N} {is} {b} years older than {F}. {F} {Fis} {a}. (How old {is} {N}|What is {his} age)?
        {N} {was} {a} (years old|) {b} years ago. How old {is} {he} now?
        {F} {Fis} {b} years younger than {N}. {F} {Fis} {a} (years old|). How old {is} {N}?
        """,
        weight=2,
    ),
    Relation(
        "age",
        "b:2-40 c:2-50 a=b+c",
        "s = a - b",
        """
        {N} {is} {a} (years old|). How old {was} {he} {b} years ago?
        {F} {Fis} {a} (years old|). {N} {is} {b} years younger (than {F}|than {Fhim}|). How old {is} {N}?
        {N} {is} {b} years younger than {F}, who is {a}. How old {is} {N}?
        {N} {is} {a} (years old|) and {F} {Fis} {b} (years old|). (How much older {is} {N}|How many years older {is} {N}|What is the (age difference|difference between their ages)|How many years are between them)?
        In {b} years {N} will be {a} (years old|). How old {is} {he} now?
        {N} {is} {b} years older than {F}. {N} {is} {a}. How old is {F}?
        How many years (older|more) is a person of {a} than a person of {b}?
        """,
        weight=2,
    ),
    Relation(
        "age",
        "a:1900-2010 c:2-99 b=a+c",
        "s = b - a",
        """
        {N} {was} born in {a}. How old {was} {he} in {b}?
        A (house|bridge|school|church|ship) was built in {a}. How old (is it|was it|will it be) in {b}?
        How many years (are there|passed|are) (between|from) {a} (and|to) {b}?
        """,
    ),
    Relation(
        "age",
        "a:2-30 k:2-5",
        "p = a * k",
        """
        {N} {is} {a} (years old|). {F} {Fis} {k} times as old (as {N}|). How old is {F}?
        {F} {Fis} {k} times as old as {N}, who is {a}. How old is {F}?
        {F} {Fis} {k} times that age. {N} {is} {a}. How old is {F}?
        """,
    ),
    Relation(
        "age",
        "a:2-50",
        "p = a * 2",
        """
        {N} {is} {a} (years old|). {F} {Fis} (twice as old|twice {his} age|double {his} age). How old is {F}?
        """,
        weight=0.7,
    ),
    Relation(
        "age",
        "q:2-40 a=q*2",
        "p = a / 2",
        """
        {N} {is} {a} (years old|). {F} {Fis} half as old. How old is {F}?
        {N} {is} {a}, twice as old as {F}. How old is {F}?
        """,
        weight=0.7,
    ),
    Relation(
        "age",
        "a:2-60 b:2-30",
        "p = a + b; q = a + p",
        """
        {N} {is} {a} (years old|) and {F} {Fis} {b} years older. (What is the sum of their ages|How old are they together|What do their ages add up to)?
        """,
    ),
    Relation(
        "age",
        "a:5-60 b:2-60",
        "s = a + b",
        """
        {N} {is} {a} and {F} {Fis} {b} (years old|). (What is the sum of their ages|How old are they together|What are their ages together)?
        """,
        weight=0.7,
    ),
    Relation(
        "age",
        "b:2-20 d:2-20 e:2-20 a=b+d",
        "p = a - b; q = p + e",
        """
        {N} {is} {a}. {F} {Fis} {b} years younger. How old will {F} be in {e} years?
        """,
        weight=0.7,
    ),
)
