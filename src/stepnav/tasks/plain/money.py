"""Relations of money and of rates: prices, change, wages, speed, work."""

from stepnav.tasks.plain.relation import Relation

MONEY = (
    Relation(
        "money",
        "a:P b:P",
        "s = a + b",
        """
        (A|One|The) {b1} costs {$a} and (a|one|the) {d1} costs {$b}. (How much|What) do (they|both|the two|the {b1} and the {d1}) cost (together|altogether|in total|in all|)?
        {N} (bought|buys|paid for|got) a {b1} for {$a} and a {d1} for {$b}. (How much (did {he} spend|did {he} pay|was that|money is that)|What did {he} pay|What was the total) (in all|in total|altogether|)?
        {N} (spent|paid) {$a} (on|for) {b} and {$b} (on|for) {d}. (How much (money|) did {he} (spend|pay)|What did {he} spend) (in all|in total|altogether|)?
        (How much|What) do a {-a} {b1} and a {-b} {d1} cost together?
        {N} {has} {$a}. {F} {Fhas} {$b}. How much (money|) do they have (together|altogether|in all|in total)?
        {N} had {$a} and (earned|got|found|was given|won|saved) {$b} (more|) (from {F}|on {day}|for working|as a gift|). How much (money|) {does} {he} have (now|)?
        The price of a {b1} (was|is) {$a}. It (went up|rose|increased) by {$b}. What is the new price?
        A {b1} is {$a}. Delivery (costs|is) {$b} (more|extra|). (What|How much) do (I|you|we) pay (in all|in total|altogether|)?
        The {b1} is {$a} and the {d1} is {$b}. What is the total (price|cost|)?
        {N} (spent|lost) {$a} and {has} {$b} left. How much (money|) did {he} have (at first|before|to start with|at the beginning)?
        """,
        weight=3,
    ),
    Relation(
        "money",
        "b:P c:P a=b+c",
        "s = a - b",
        """
        {N} {has} {$a} and (buys|then buys|orders) a {b1} for {$b}. How much (money|) {does} {he} have (left|now|left over)?
        {N} had {$a}. {He} (spent {$b} on|paid {$b} for|used {$b} for) {b}. How much (money|) (is left|does that leave|{does} {he} have left|remains|{does} {he} still have)?
        {N} (paid|pays|hands over|gave the cashier) {$a} for a {b1} that costs {$b}. How much (change|money back) {does} {he} get (back|)?
        {N} buy{s} a {-b} {b1} (and pays with|with|using) a {-a} (bill|note|). (How much|What) change {does} {he} (get|receive)?
        A {b1} costs {$b}. {N} pay{s} with {$a}. (How much change|What change) (will|should|does|can) {he} (get|receive|expect) (back|)?
        A {b1} costs {$a} and a {d1} costs {$b}. How much (more does the {b1} cost|cheaper is the {d1}|more expensive is the {b1}) (than the {d1}|)?
        The (normal|old|regular|usual) price of a {b1} is {$a}. (Today|Now|This week|In the sale) it is {$b} (off|less|cheaper). (What|How much) does it cost (now|today|)?
        A {b1} (used to cost|was|cost) {$a}. (Now it|It now) costs {$b}. (How much (do you save|cheaper is it|less is that)|By how much was it reduced)?
        {N} (want{s}|need{s}) to buy a {b1} (for|that costs) {$a}. {He} {has} (only|saved|already|) {$b}. How much (more|) (money|) {does} {he} (still|) need?
        The price of a {b1} fell (by {$b} from {$a}|from {$a} by {$b}). What is (it|the price) now?
        A {-a} {b1} is on sale for {$b} (off|less). What is the (sale|new|final) price?
        {N} {has} {$a} in the bank and (takes out|withdraws) {$b}. How much is left (in the bank|there|)?
        {N} and {F} have {$a} together. {N} {has} {$b}. How much does {F} have?
        (They|We|{N} and {F}) (raised|collected|need|want) {$a}. {$b} (is|was) for (food|the {b}). How much was for (the rest|other things)?
        """,
        weight=4,
    ),
    Relation(
        "money",
        "n:S a:P",
        "s = n * a",
        """
        (A|One|Each|Every) {b1} (costs|is|sells for|is priced at|goes for) {$a}. (How much|What) (do|would|will) {n} {b} cost?
        {N} (bought|buys|ordered|got|wants|needs) {n} {b} (for|at|that cost|costing) {$a} (each|apiece|a piece). How much (money|) (did {he} (spend|pay)|is that|does {he} need|was that) (in all|in total|altogether|)?
        What (is the (cost|price|total cost) of|do (I|you|we) pay for) {n} {b} at {$a} (each|apiece|per {b1})?
        {n} {b} (cost|at|for) {$a} each. (How much is that|What is the total|What do they cost|How much altogether)?
        If (a|one) {b1} (costs|is) {$a}, (how much|what) (do|would|are|will) {n} (of them|{b}) (cost|)?
        {N} (sold|sells) {n} {b} for {$a} (each|apiece). How much (money|) (did {he} (make|get|earn|take in)|is that) (in all|)?
        {N} (earn{s}|make{s}|get{s} paid|get{s}) {$a} (an|per|for each|every|for every) (hour|day|week|month|{b1}). How much (money|) {does} {he} (earn|make|get) (in|for|after) {n} (hours|days|weeks|months|{b})?
        {N} (save{s}|put{s} away|get{s}|spend{s}|earn{s}) {$a} (a|every|each|per) (day|week|month|year). How much (money|) {does} {he} (save|have|get|spend|earn) in {n} (days|weeks|months|years)?
        {N} (worked|works) {n} hours (for|at) {$a} (an|per) hour. How much (did|does|will) {he} (earn|make|get|get paid)?
        (Tickets|Seats) (cost|are) {$a} (each|per person|). {n} (people|friends|of us|adults) (go|want to go|are going). How much (do they pay|is it|does it cost) (altogether|in total|in all|)?
        {N} {was} paid {$a} (a|per) (day|job|hour). {He} worked {n} (days|jobs|hours). (What|How much) did {he} (make|earn)?
        {n} (friends|people) (each|all) (pay|paid|gave|give) {$a}. How much (money|) is that (in all|altogether|in total|)?
        How much (does it cost to buy|do you pay for|are) {n} {b} if (each|one) (costs|is) {$a}?
        """,
        weight=4,
    ),
    Relation(
        "money",
        "n:S q:P t=n*q",
        "p = t / n",
        """
        {n} {b} (cost|are|sell for) {$t}. (How much|What) (does|is|would) (one|each|a single|every) {b1} (cost|)?
        {N} (paid|pays|spent|spends) {$t} for {n} {b}. (How much|What) (did|does) (each|one|each {b1}) cost?
        {N} (paid|spent) {$t} on {n} {b}. (All cost the same.|They all had the same price.|) (How much was one|What was the price of one|How much did each {b1} cost)?
        A (pack|set|box|bag) of {n} {b} (costs|is|sells for) {$t}. (What is the price of one|How much is one|What does each {b1} cost|How much per {b1})?
        {n} (friends|people|roommates|children|workers) (share|split) (a bill|a cost|the cost|a prize|a dinner bill|the rent) of {$t} (equally|evenly|). How much does each (one|person|of them|) (pay|get)?
        {N} earned {$t} (in|for|after) {n} (hours|days|weeks|months). How much (is that|did {he} earn|does {he} make) (an hour|a day|per hour|per day|each week|per week|a month)?
        {n} (people|friends|children|kids) pay {$t} (in total|altogether|together). Each pays the same. How much does (each|one person|each one) pay?
        If {n} {b} cost {$t}, (how much|what) (does|is) one (cost|{b1}|)?
        {N} saved {$t} in {n} (weeks|months|days), the same amount (each|every) (time|week). How much did {he} save (each|per|every) (week|month|day)?
        """,
        weight=2,
    ),
    Relation(
        "money",
        "a:S q:S t=a*q",
        "p = t / a",
        """
        (A|One|Each) {b1} costs {$a}. How many {b} can {N} buy (with|for) {$t}?
        {N} {has} {$t}. {b} cost {$a} each. How many (can {he} (buy|get|afford)|{b} can {he} buy)?
        How many {-a} {b} can (you|I|we|{N}) (buy|get) (with|for) {$t}?
        {N} spent {$t} on {b} (that cost|at|for) {$a} each. How many {b} did {he} (buy|get)?
        {N} (save{s}|earn{s}) {$a} (a|every|each) (day|week|hour). How (many (days|weeks|hours)|long) does it take {him} to (save|get|earn) {$t}?
        {N} (want{s}|need{s}) {$t} for a {b1} and earn{s} {$a} an hour. How many hours must {he} work?
        """,
        weight=2,
    ),
    Relation(
        "money",
        "n:S a:P k:P",
        "p = n * a; q = p + k",
        """
        {N} (bought|buys|got) {n} {b} (at|for) {$a} each and a {d1} for {$k}. How much (money|) (did|does) {he} (spend|pay) (in all|altogether|in total|)?
        {N} (bought|buys) a {d1} for {$k} and {n} {b} (at|for) {$a} (each|apiece). How much (was that|is that|did {he} pay) (in all|altogether|in total|)?
        (A|The) {job} (charges|costs|takes) {$k} (to get in|as a fee|to start|for entry) (and|plus) {$a} (per|an|for each) (hour|ride|game). (What|How much) (do|would) {n} (hours|rides|games) cost (in all|)?
        {N} {has} {$k} and (earn{s}|save{s}|get{s}) {$a} (a|every|each|per) (week|day|month|hour). How much (money|) will {he} have (after|in) {n} (weeks|days|months|hours)?
        A (taxi|cab|repair|mechanic|rental) costs {$k} plus {$a} (a|per|for every) (mile|hour|day|km). How much (is it|does it cost|do you pay) for {n} (miles|hours|days|km)?
        {n} {b} (cost|are) {$a} each and a {d1} (costs|is) {$k}. (What|How much) do they cost (together|altogether|in all)?
        """,
        weight=2,
    ),
    Relation(
        "money",
        "n:S a:S k:P t=n*a+k",
        "p = n * a; q = t - p",
        """
        {N} {has} {$t}. {He} buy{s} {n} {b} (for|at) {$a} each. How much (money|) {does} {he} have left?
        {N} (bought|buys) {n} {b} (at|for|costing) {$a} each (and paid with|with|from) (a {-t} bill|{$t}). How much (change|money) (did {he} get|{does} {he} get back|is left)?
        {N} (earned|had|saved) {$t} and (spent {$a} a day|paid {$a} every day) for {n} days. How much (is left|does {he} still have|money remains)?
        {n} {b} cost {$a} each. {N} pay{s} with {$t}. How much change (is there|{does} {he} get)?
        """,
        weight=1.5,
    ),
    Relation(
        "money",
        "b:P c:P d:P a=b+c+d",
        "p = a - b; q = p - c | p = b + c; q = a - p",
        """
        {N} {has} {$a}. {He} (buy{s}|bought) a {b1} for {$b} and a {d1} for {$c}. How much (money|) (is left|{does} {he} have left|{does} {he} have now|does that leave)?
        {N} had {$a}. {He} (spent|paid) {$b} (on|for) {b} and {$c} (on|for) {d}. How much (is left|{does} {he} have left|money remains)?
        {N} (started|left home|went to the {job}) with {$a}, (spent|paid) {$b} (at the {job}|on {day}|on food) and (gave {F} {$c}|lost {$c}). How much (is left|{does} {he} have now)?
        From {his} {$a}, {N} pay{s} {$b} for {b} and {$c} for {d}. What is left?
        """,
        weight=1.5,
    ),
    Relation(
        "money",
        "a:P b:P c:P",
        "p = a + b; q = p + c",
        """
        {N} (bought|buys) a {b1} for {$a}, a {d1} for {$b} and (lunch|a {color} hat|a map|snacks) for {$c}. How much (did {he} spend|did {he} pay|is that) (in all|in total|altogether|)?
        (What|How much) do a {b1} for {$a}, a {d1} for {$b} and a {u1} for {$c} cost (together|in total|altogether)?
        {N} earned {$a} on {day}, {$b} on {later} and {$c} on (the weekend|the next day). How much (did {he} earn|is that) (in all|in total|altogether)?
        """,
    ),
    Relation(
        "money",
        "n:S a:S k:S h:S",
        "p = n * a; q = k * h; r = p + q",
        """
        {N} (bought|buys) {n} {b} (at|for) {$a} each and {k} {d} (at|for) {$h} each. How much (did {he} (spend|pay)|is that) (in all|in total|altogether|)?
        (Adult tickets|Large ones) cost {$a} and (child tickets|small ones) cost {$h}. How much do {n} (adult|large) and {k} (child|small) (ones|tickets) cost?
        A {b1} costs {$a} and a {d1} costs {$h}. (What|How much) do {n} {b} and {k} {d} cost?
        """,
        weight=1.5,
    ),
    Relation(
        "money",
        "n:S a:P k:S",
        "p = n * a; q = p * k",
        """
        {N} (work{s}|worked) {n} hours a day for {$a} an hour. How much (does|did) {he} (earn|make) in {k} days?
        {N} buy{s} {n} {b} (a|every|each) (day|week) for {$a} each. How much {does} {he} spend in {k} (days|weeks)?
        """,
    ),
    Relation(
        "money",
        "a:S b:S n:S c=a+b",
        "p = c - a; q = p * n",
        """
        {N} buy{s} {b} for {$a} each and sell{s} them for {$c} each. How much (money|profit) {does} {he} make (on|with|by selling) {n} {b}?
        """,
        weight=0.5,
    ),
)
