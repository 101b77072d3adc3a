"""Relations of equal groups: so many of so much each, sharing and dealing out."""

from stepnav.tasks.plain.relation import Relation

GROUPS = (
    Relation(
        "groups",
        "n:S m:M",
        "p = n * m",
        """
        (A|Each|Every|One) {c1} (holds|has|contains|carries|can hold|fits) {m} {u}. How many {u} (are in|are there in|do|would be in|fit in|come in) {n} {c}?
        There are {n} {c} (with|of) {m} {u} (each|in each|in each {c1}|in every one|apiece). (How many|What number of) {u} are there (in all|in total|altogether|)?
        {N} {has} {n} {c} (with|of|holding) {m} {u} (each|in each|per {c1}). How many {u} {does} {he} have (in all|in total|altogether|all together|)?
        {N} (bought|got|filled|packed|made|prepared|found|ordered|carried|received) {n} {c}. (Each|Every) {c1} (has|had|holds|contained|contains) {m} {u}. (How many|What is the total number of) {u} (is that|are there|did {he} get|does that make|in total|in all)?
        If (each|one|a|every) {c1} (has|holds|contains|takes|needs|comes with) {m} {u}, how many {u} (are in|are there in|do|will be in|does it take for|will) {n} {c} (|have|hold|need|contain)?
        How many {u} are (there in|in) {n} {c} (if|when) (each|every|one) {c1} (has|holds|contains) {m} {u}?
        How many {u} are in {n} {c} of {m} {u} (each|)?
        {m} {u} fit in (a|one|each) {c1}. How many {u} fit in {n} {c}?
        {m} {u} are in (each|every) {c1} and there are {n} {c}. How many {u} is that (altogether|in total|)?
        {N} put {m} {u} (in|into|on) each of {n} {c}. How many {u} did {he} (use|put|need|have) (in all|in total|)?
        {N} {is} filling {n} {c} with {m} {u} (each|apiece). How many {u} {does} {he} need?
        (A|Each|Every) {u1} has {m} {v}. How many {v} do {n} {u} have (in total|altogether|)?
        (A|Each|Every) {u1} needs {m} {v}. How many {v} (are needed|do you need|do we need|does {N} need) for {n} {u}?
        (It takes|You need|We need) {m} {v} to (make|build|fix|cover|decorate) (a|one) {u1}. How many {v} (does it take|are needed|do you need) (to make|to build|for) {n} {u}?
        {N} use{s} {m} {v} for (each|every|one) {u1}. How many {v} {does} {he} need for {n} {u}?
        {n} {u} (each|all) (have|carry|hold|need|get|own) {m} {v}. How many {v} (is that|do they have|are there) (in total|altogether|in all|)?
        {n} (people|children|friends|kids|students|workers|players|families) each (brought|have|ate|made|bought|took|got|carried|sold|collected) {m} {u}. How many {u} (did they bring|is that|are there|was that) (in total|altogether|in all|)?
        The (theater|hall|garden|parking lot|orchard|room|field|classroom|bus) has {n} (rows|lines) (of|with) {m} {u} (each|in each row|per row|). How many {u} (does it have|are there|are in it) (in total|altogether|in all|)?
        {n} rows (of|with) {m} {u} (each|) (stand|are|grow) {L}. How many {u} (is that|are there)?
        {N} plant{s} {n} rows of {u} with {m} in (each|every) row. How many {u} {does} {he} plant (in all|)?
        {n} times a (day|week|month|year) {N} (eat{s}|use{s}|collect{s}|read{s}|lift{s}) {m} {u}. How many {u} (is that|does that make) (a|per|each|every) (day|week|month|year)?
        (Everyone|Everybody|Each person|Each guest|Every child) gets {m} {u}. There are {n} (people|guests|children). How many {u} (are needed|do we need|do they get in total)?
        What is the (total number|total|number) of {u} in {n} {c} (with|if there are) {m} {u} (in each|each|per {c1})?
        {n} {c}, {m} {u} (in each|per {c1}|each). (How many|Total) {u}?
        """,
        weight=6,
    ),
    Relation(
        "groups",
        "m:S",
        "p = m * 12",
        """
        {N} (buy{s}|bought|{has}|made|need{s}) {m} dozen {u}. How many {u} (is that|are that|does that make|{does} {he} have)?
        How many {u} are in {m} dozen?
        (A|Each|One) {c1} holds a dozen {u}. How many {u} (are|fit) in {m} {c}?
        There are 12 {u} in a dozen. How many {u} (are there|are) in {m} dozen?
        """,
    ),
    Relation(
        "groups",
        "n:S m:M k:M",
        "p = n * m; q = p + k",
        """
        {N} {has} {n} {c} (of|with) {m} {u} (each|in each|) and {k} (more|other|loose|extra|single|) {u}. How many {u} {does} {he} have (in all|altogether|in total|)?
        {N} {has} {k} {u} and {n} {c} (of|with) {m} {u} (each|in each). How many {u} {does} {he} have (in all|altogether|in total|)?
        There are {n} {c} with {m} {u} each and {k} more {u} (on the floor|outside|on top|{L}). How many {u} are there (in all|altogether|in total|)?
        {N} had {k} {u}. (Then|Later|After that|Today) {he} (bought|got|found|received|won|made) {n} {c} of {m} {u} (each|). How many {u} {does} {he} have (now|in all|altogether)?
        {N} (bought|got|made|packed) {n} {c} with {m} {u} in each. {F} (gave {him}|added|brought) {k} more. How many {u} (are there now|{does} {he} have now|are there in all)?
        {N} (read|ran|made|sold|collected|picked) {m} {u} (a|each|every|per) day for {n} days, (then|and then|and after that) {k} more. How many {u} (is that|was that|did {he} do) (in all|in total|altogether)?
        """,
        weight=2,
    ),
    Relation(
        "groups",
        "n:S m:M k:M",
        "p = n * m; q = p - k",
        """
        {N} {has} {n} {c} (of|with) {m} {u} (each|in each|). {He} (use{s}|eat{s}|lose{s}|give{s} away|sell{s}|throw{s} away) {k} (of them|of the {u}|{u}|). How many {u} {does} {he} have (left|now)?
        {N} (bought|made|baked|picked|packed|ordered) {n} {c} of {m} {u} (each|). {k} (of them|of the {u}) (broke|were bad|were lost|were eaten|were sold|fell down|were stolen|went missing). How many (are left|{u} are left|good ones are left|remain|are still there)?
        There (are|were) {n} {c} (of|with) {m} {u} (each|in each). ({N}|Someone|The dog|The wind|The children) (took|ate|removed|broke|sold|used) {k} (of them|{u}). How many {u} (are left|remain|are there now|are still there)?
        (A|The) {job} has {n} rows of {m} {u}. {k} {u} are (broken|empty|taken|missing|sold). How many (are not|{u} are left|others are there)?
        {n} {c} with {m} {u} each were (delivered|brought|opened). {k} {u} (were|got) (used|damaged|sold). How many {u} (remain|are left)?
        """,
        weight=2,
    ),
    Relation(
        "groups",
        "n:S m:S k:S h:S",
        "p = n * m; q = k * h; r = p + q",
        """
        {N} {has} {n} {c} of {m} {u} and {k} {c} of {h} {v}. How many things {does} {he} have (in all|altogether)?
        {N} (bought|made|packed|got) {n} (small|red|big) {c} with {m} {u} each and {k} (other|large|blue|green) {c} with {h} {u} each. How many {u} (did {he} buy|are there|is that) (in all|altogether|in total)?
        {n} {c} hold {m} {u} each and {k} {c} hold {h} {u} each. How many {u} (are there|do they hold) (in all|altogether|together|in total)?
        """,
    ),
    Relation(
        "groups",
        "n:2-6 m:2-9 k:2-9",
        "p = n * m; q = p * k",
        """
        There are {n} {c}. Each {c1} has {m} {u}, and each {u1} has {k} {v}. How many {v} are there (in all|altogether|in total|)?
        {N} {has} {n} {c} with {m} {u} in each {c1}. Every {u1} has {k} {v}. How many {v} is that?
        {N} eat{s} {n} {u} {m} times a day. How many {u} {does} {he} eat in {k} days?
        {n} {job} workers each make {m} {u} an hour. How many {u} do they make in {k} hours?
        """,
    ),
)

SHARING = (
    Relation(
        "sharing",
        "n:S q:M t=n*q",
        "p = t / n",
        """
        {N} {has} {t} {u} and (shares|share) them (equally|evenly|fairly) (among|between|with) {n} (friends|people|children|kids). How many {u} does each (one|person|friend|child|of them|) get?
        {n} (friends|children|people|kids|sisters|workers|pirates) (share|split|divide) {t} {u} (equally|evenly|fairly|so that each gets the same). How many (|{u}) does each (one|person|friend|child|of them|) get?
        {t} {u} are (shared|split|divided|dealt out) (equally|evenly|) (among|between) {n} (friends|people|children|players|teams|families). How many {u} (does each get|does each one get|are there for each|go to each)?
        {N} put{s} {t} {u} (in|into) {n} (equal|) {c} (with the same number in each|so that each has the same number|equally|evenly). How many {u} (are|will be|go) in each {c1}?
        {N} (arranged|placed|sorted|packed|split|divided) {t} {u} (equally|evenly) (into|in|among|over) {n} {c}. How many {u} (are in|did each hold for|are in each of) (each|one|a) {c1}?
        If {t} {u} (are packed|are put|are divided|are split|fit) (equally|evenly) (into|in|over) {n} {c}, how many {u} (are in|are there in|go into) (each|one|every) {c1}?
        (There are|We have|They have|You have) {t} {u} (for|and) {n} (people|children|players|guests). How many {u} (can|does|will) each (person|one|of them) (get|have) (if they share equally|if everyone gets the same|)?
        {N} cut{s} a rope that is {t} (inches|feet|meters|cm) long into {n} (equal|) pieces (of the same length|). How long is each piece?
        A (rope|ribbon|string|board|pipe|wire|stick) (is|of|measuring) {t} (inches|feet|meters|cm|centimeters) (long|) is cut into {n} equal (pieces|parts). (How long is each|What is the length of each|How long is one) (piece|part)?
        {N} read{s} {t} pages in {n} days, the same number (each|every) day. How many pages {does} {he} read (a|each|per|every) day?
        {N} (solved|made|sold|ate|picked|collected) {t} {u} in {n} (days|hours|weeks|minutes). How many {u} (is that|did {he} do|on average) (per|a|each) (day|hour|week|minute)?
        {n} {c} (hold|have|contain) {t} {u} (in total|altogether|in all). (Each {c1} holds the same number.|All {c} are the same.|) How many {u} are in (one|each) {c1}?
        {n} (identical|equal|) {c} hold {t} {u}. How many does (each|one) hold?
        There are {t} {u} in {n} {c}. (Each {c1} has the same number of {u}.|The {u} are split evenly.) How many {u} are in each {c1}?
        How many {u} does each of {n} (people|children|friends) get if {t} {u} are shared (equally|evenly)?
        {N} {has} {t} {u}. {He} {is} going to (give|hand) the same number to each of {n} (friends|kids|neighbors). How many (will each get|does each friend get|will each one have)?
        {t} {u} on {n} {c}. How many {u} (on|per|for) each {c1}?
        The (teacher|coach|boss) (puts|splits|sorts|divides) {t} (students|players|kids|people|workers) into {n} (equal|) (teams|groups|classes) (of the same size|evenly|equally|). How many (are|will be) (in|on) each (team|group|one)?
        """,
        weight=5,
    ),
    Relation(
        "sharing",
        "m:S q:M t=m*q",
        "p = t / m",
        """
        {N} {has} {t} {u}. {He} put{s} {m} (in|into) each {c1}. How many {c} {does} {he} (need|fill|have|use|get)?
        {N} {has} {t} {u} and put{s} them into {c} of {m} (each|). How many {c} (are there|{does} {he} need|{does} {he} fill|is that)?
        (A|Each|One|Every) {c1} (holds|fits|takes|has room for|can carry|carries) {m} {u}. How many {c} (are needed for|do you need for|are filled by|does it take to hold|do we need for|does {N} need for) {t} {u}?
        How many {c} of {m} {u} (can be made|can you make|can {N} make|can be filled) (from|with|out of) {t} {u}?
        How many {c} of {m} (make|do you need to get|does it take to get|give you) {t} {u}?
        {t} {u} are (packed|put|placed|sorted|arranged|divided|split) (in|into) {c} of {m} (each|). How many {c} (are there|is that|are needed|will there be)?
        If {m} {u} fit in (a|one|each) {c1}, how many {c} (do you need for|are needed for|will hold|does {N} need for) {t} {u}?
        (The teacher|The coach|{N}) (makes|makes|forms|wants) (groups|teams|lines|pairs) of {m} (from|out of|with) {t} (students|players|kids|people). How many (groups|teams) (are there|will there be|can be made)?
        {t} (students|players|kids|people) (form|are put into|stand in|get into) (teams|groups|lines|rows) of {m}. How many (teams|groups|lines|rows) (are there|do they form|is that)?
        {N} plant{s} {t} {u} in rows of {m}. How many rows (are there|{does} {he} plant|{does} {he} get)?
        {N} need{s} {m} {v} (to make|for) (a|one|each) {u1}. How many {u} can {he} make (with|from|out of) {t} {v}?
        {N} eat{s} {m} {u} (a|every|each|per) day. How (many days|long) will {t} {u} last?
        {N} {has} {t} {u} to (pack|carry|move). Each {c1} fits {m}. How many {c} (will be needed|will be full|{does} {he} need)?
        Each {u1} needs {m} {v}. There are {t} {v}. How many {u} (can be made|can we make|can be built)?
        """,
        weight=4,
    ),
    Relation(
        "sharing",
        "n:S q:S k:M t=n*q+k",
        "p = t - k; q = p / n",
        """
        {N} {has} {t} {u}. {He} (keep{s}|eat{s}|use{s}|lose{s}|set{s} aside) {k} and (share{s}|split{s}|divide{s}) the (rest|others) (equally|evenly|) (among|between|with) {n} (friends|children|people). How many {u} does each (friend|one|person|) get?
        {N} (made|bought|had|picked) {t} {u} and (ate|gave away|sold|lost) {k} (of them|). The (rest|others|remaining ones) (were|are) (put|packed|divided|split) (evenly|equally) (into|in) {n} {c}. How many {u} are in each {c1}?
        After (using|eating|losing|selling) {k} of {his} {t} {u}, {N} put{s} the rest into {n} {c} with the same number in each. How many are in each {c1}?
        """,
    ),
    Relation(
        "sharing",
        "n:S q:S k:M l:M t=n*q",
        "p = k + l; q = p / n",
        """
        {N} {has} {k} {color} {u} and {l} {shade} {u}. {He} (put{s}|sort{s}|divide{s}) (them|all of them) (equally|evenly) into {n} {c}. How many are in each {c1}?
        {N} {has} {k} {u} and {F} {Fhas} {l}. They share all of them (equally|fairly) among {n} (people|friends|children). How many does each get?
        """,
    ),
    Relation(
        "sharing",
        "n:2-9 a:2-9 q:2-12 t=n*q",
        "p = t / n; q = p * a",
        """
        {n} {c} (hold|have|contain) {t} {u}. How many {u} (do|are in|would be in) {a} {c} (hold|) (of the same size|like these|)?
        {N} (make{s}|read{s}|sell{s}|use{s}) {t} {u} in {n} (days|hours|weeks). How many {u} {does} {he} (make|read|sell|use) in {a} (days|hours|weeks) at the same (rate|speed|pace)?
        If {n} {u} weigh {t} (pounds|kilos|grams|kg), how much do {a} {u} weigh?
        """,
    ),
)
