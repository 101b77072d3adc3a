"""Relations of distance, speed, rates and time."""

from stepnav.tasks.plain.relation import Relation

RATES = (
    Relation(
        "rates",
        "n:S v:M",
        "p = v * n",
        """
        (A|The) (car|bus|train|truck|boat|plane|bike|cyclist|runner|bird|horse|robot|ship) (goes|travels|moves|runs|drives|is going) (at|) {v} (miles|kilometers|km|meters|feet) (an|per|every|in one) (hour|minute|second). How far (does it (go|travel|get)|will it go) in {n} (hours|minutes|seconds)?
        {N} (drive{s}|walk{s}|run{s}|ride{s}|cycle{s}|swim{s}) (at|) {v} (miles|kilometers|km|meters) (an|per|each) (hour|minute). How (far|many miles|many kilometers) (does|will|can) {he} (go|drive|get|travel) in {n} (hours|minutes)?
        {N} (drove|walked|rode|traveled|flew|sailed|ran) for {n} (hours|minutes) at {v} (miles|km|kilometers) per hour. How far (did {he} (go|get|travel)|is that)?
        (A|The) (machine|factory|printer|robot|worker|baker|pump|engine) (makes|produces|fills|prints|packs|handles|uses) {v} {u} (an|per|every|each) (hour|minute|day|week). How many {u} (does it (make|produce|fill|print|handle)|is that|can it do) in {n} (hours|minutes|days|weeks)?
        {N} (make{s}|read{s}|type{s}|pick{s}|wash{es}|paint{s}|build{s}|write{s}|eat{s}|collect{s}|fold{s}|sell{s}|find{s}|clean{s}|draw{s}|plant{s}) {v} (pages|words|{u}|{b}) (an|per|every|each|in one|in an) (hour|minute|day). How many (pages|words|{u}|{b}|) (can|does|will|would) {he} (make|read|type|pick|do|finish) in {n} (hours|minutes|days)?
        {N} (run{s}|walk{s}|bike{s}|drive{s}|jog{s}|swim{s}|hike{s}) {v} (miles|km|kilometers|meters|laps) (a|every|each|per) (day|morning|evening|week). How (far|many (miles|km|kilometers|laps)) (is that|{does} {he} (go|run|walk)) in {n} (days|mornings|weeks)?
        (A|One|Each) (lap|round|trip|length|block) is {v} (meters|miles|km|feet|yards|kilometers) (long|). How (far|many (meters|miles|km|feet)) (are|is|do) {n} (laps|rounds|trips|lengths|blocks|of them)?
        {N} (run{s}|walk{s}|swim{s}|skate{s}) {n} (laps|rounds) of {v} (meters|feet|yards) (each|). How (far|many (meters|feet|yards)) is that (in all|altogether|in total|)?
        (Water|{drink}) flows (at|out at) {v} (liters|gallons|drops) (a|per) (minute|hour|second). How much flows in {n} (minutes|hours|seconds)?
        {N} did {v} (push-ups|jumps|sit-ups|problems|exercises) (a|every|per|each) (day|minute). How many (is that|are that|{does} {he} do) in {n} (days|minutes)?
        (A|The) (heart|clock|bell|light|machine) (beats|ticks|rings|blinks|moves) {v} times (a|per|every|each) (minute|hour|day|second). How many times (does it (beat|tick|ring)|is that) in {n} (minutes|hours|days|seconds)?
        {v} (people|cars|visitors|{u}) (come|pass|arrive|enter|go by) every (hour|day|minute). How many (come|pass|is that|are that) in {n} (hours|days|minutes)?
        """,
        weight=5,
    ),
    Relation(
        "rates",
        "n:S v:M d=n*v",
        "p = d / n",
        """
        (A|The) (car|bus|train|truck|boat|plane|bike|runner|bird|ship) (goes|travels|went|traveled|drove|covers|moved) {d} (miles|kilometers|km|meters|feet) in {n} (hours|minutes|seconds). (What (is|was) its (speed|average speed)|How fast (does|did) it go|How many (miles|km) per hour is that|How far does it go in one (hour|minute))?
        {N} (drove|walked|ran|biked|rode|swam|traveled) {d} (miles|km|kilometers|meters) in {n} (hours|minutes|days). (How far (did {he} go|is that) (per|each|every|in one) (hour|minute|day)|What was {his} (speed|average speed)|How fast was {he}|How many (miles|km) per hour is that)?
        {N} (type{s}|read{s}|make{s}|wash{es}|pack{s}|paint{s}|draw{s}) {d} (words|pages|{u}|{b}) in {n} (minutes|hours|days). How many (words|pages|{u}|{b}|) (is that|{does} {he} do|can {he} do) (per|in one|in a|each) (minute|hour|day)?
        (A|The) (machine|factory|printer|robot) (makes|fills|prints|uses) {d} {u} in {n} (hours|minutes|days). How many {u} (does it make|is that) (per|in one|each|an) (hour|minute|day)?
        A trip of {d} (miles|km) takes {n} hours. (What is the (average|) speed|How many (miles|km) is that per hour)?
        A car (uses|needs) {n} (gallons|liters) of gas for {d} (miles|km). How (far|many (miles|km)) (does it go|can it drive) (on|per|with) one (gallon|liter)?
        """,
        weight=3,
    ),
    Relation(
        "rates",
        "v:S n:S d=n*v",
        "p = d / v",
        """
        (A|The) (car|bus|train|truck|boat|plane|bike|runner|bird|turtle|ant) (goes|travels|drives|moves|runs|walks) {v} (miles|kilometers|km|meters|feet|inches) (an|per|in one|every|each) (hour|minute|day). How (long|many (hours|minutes)) does it (take|need) (for|to go|to travel|to cover) {d} (miles|km|meters|feet)?
        {N} (walk{s}|drive{s}|run{s}|ride{s}) (at|) {v} (miles|km|kilometers) (an|per) hour. How (long|many hours) (will|does) it take {him} to (go|walk|drive|travel) {d} (miles|km|kilometers)?
        {N} (read{s}|type{s}|make{s}|wash{es}|paint{s}|pack{s}|write{s}) {v} (pages|words|{u}|{b}) (an|per|every|a|each) (hour|minute|day). How (long|many (hours|minutes|days)) (does|will) (it take {him} for|{he} need for|it take {him} to finish) {d} (pages|words|{u}|{b}|)?
        (A|The) (machine|printer|factory|robot|pump) (makes|fills|prints|does) {v} {u} (an|per|every|a) (hour|minute|day). How (long|many (hours|minutes|days)) does it (take|need) for {d} {u}?
        A book has {d} pages. {N} read{s} {v} pages (a|every|each|per) (day|night|evening). (How many days|How long) (does|will) {he} need (for the book|to finish it|)?
        A (tank|pool|bucket|bath) holds {d} (liters|gallons). {v} (liters|gallons) (flow|run|go) in (every|each|per|a) minute. (How long|How many minutes) until it is full?
        A plant grows {v} (cm|inches|centimeters) (a|every|each|per) (week|day|month). (How long|How many (weeks|days|months)) does it take to grow {d} (cm|inches)?
        """,
        weight=3,
    ),
    Relation(
        "rates",
        "a:M b:M",
        "s = a + b",
        """
        {N} (walked|drove|ran|biked|hiked|swam|flew) {a} (miles|km|kilometers|meters) (on {day}|in the morning|first|yesterday|before lunch) and {b} (miles|km|kilometers|meters) (on {later}|in the afternoon|then|today|after lunch). How (far|many (miles|km|kilometers|meters)) (did {he} (go|walk|travel)|is that) (in all|altogether|in total|)?
        It is {a} (miles|km) from (here|home|the {job}) to the (lake|{job}|city) and {b} (miles|km) from there to the (sea|mountain|next town). How (far|long) is (the whole way|it altogether|the trip)?
        A (rope|board|road|stick|snake|ribbon) is {a} (cm|feet|meters|inches) long. Another (one|) is {b} (cm|feet|meters|inches) long. How long are they (together|in total|altogether)?
        A (plant|tree|puppy|boy) was {a} (cm|inches) tall and grew {b} (cm|inches). How tall is (it|he|she) now?
        """,
        weight=1.5,
    ),
    Relation(
        "rates",
        "b:M c:M a=b+c",
        "s = a - b",
        """
        (The trip|The way|The road|It) is {a} (miles|km|kilometers) (long|to the (city|{job}|lake)|). {N} {has} (already|) (driven|gone|walked|done) {b} (miles|km|kilometers|). How (far|many (miles|km)) (is left|are left|{does} {he} still have to go|remain|to go)?
        A (rope|ribbon|board|pipe|string) is {a} (cm|feet|meters|inches) long. {N} cut{s} off {b} (cm|feet|meters|inches). How (long is it now|much is left|long is the rest|many (feet|cm) are left)?
        {N} (live{s}|{is}) {a} (miles|km) from (school|work|the {job}) and {F} {b} (miles|km). How much farther is it for {N}?
        {N} ran {a} (meters|miles|km) and {F} ran {b} (meters|miles|km). How much (farther|further) did {N} run (than {F}|)?
        The tank (had|held|contained) {a} (liters|gallons) of {drink}. {b} (liters|gallons) (were used|leaked out|are gone|were drunk). How (much is|many (liters|gallons) are) left?
        {N} want{s} to (run|walk|read|drive) {a} (miles|km|pages) this (week|month). So far {he} did {b}. How many (more|) (are left|{does} {he} need|to go)?
        """,
        weight=2,
    ),
    Relation(
        "rates",
        "a:M b:M c:M",
        "p = a + b; q = p + c",
        """
        {N} (walked|drove|ran|biked|swam) {a} (miles|km|laps) on {day}, {b} on {later} and {c} (on (Sunday|the third day)|the day after). How (far|many (miles|km|laps)) (is that|did {he} go) (in all|altogether|in total|)?
        A triangle has sides of {a}, {b} and {c} (cm|inches|meters). (What is its perimeter|How long is the way around it)?
        """,
    ),
    Relation(
        "rates",
        "a:S b:S",
        "p = a * b",
        """
        A (rectangle|room|garden|field|wall) is {a} (meters|feet|cm|inches) long and {b} (meters|feet|cm|inches) wide. What is (its|the) area?
        What is the area of a rectangle (with sides|that is|of) {a} (and|by) {b}?
        """,
        weight=0.7,
    ),
    Relation(
        "rates",
        "a:M b:M",
        "p = a + b; q = p * 2 | p = a * 2; r = b * 2; q = p + r",
        """
        A (rectangle|room|garden|field) is {a} (meters|feet|cm) long and {b} (meters|feet|cm) wide. (What is its perimeter|How long is a fence around it)?
        """,
        weight=0.5,
    ),
    Relation(
        "rates",
        "a:M n:S",
        "p = a * 2; q = p * n",
        """
        {N} (drive{s}|walk{s}|ride{s}) {a} (miles|km) to (work|school|the {job}) and {a} (miles|km) back (every|each) day. How (far|many (miles|km)) is that in {n} days?
        It is {a} (miles|km|blocks) to the {job}. {N} (go{es}|drive{s}|walk{s}) there and back {n} times. How (far|many (miles|km|blocks)) (does|did) {he} (go|travel) (in all|)?
        The (way|road|distance) to (work|school|town) is {a} (miles|km). How (far|many miles) (is|are) {n} round trips?
        """,
        weight=1,
    ),
)

TIME = (
    Relation(
        "time",
        "n:2-20",
        "p = n * 60",
        """
        How many (minutes|seconds) (are|are there|is that) in {n} (hours|minutes)?
        (Convert|Change|Turn) {n} (hours to minutes|hours into minutes|minutes to seconds|minutes into seconds).
        {N} (waited|slept|worked|played|studied|talked|drove) (for|) {n} hours. How many minutes (is that|was that)?
        (The|A) (movie|game|show|trip|class|flight|lesson|meeting|concert) (lasts|takes|is|lasted|took) {n} (hours|minutes) (long|). How many (minutes|seconds) is (that|it)?
        """,
        weight=2,
    ),
    Relation(
        "time",
        "q:2-12 n=q*60",
        "p = n / 60",
        """
        How many (hours|minutes) are (there in|in) {n} (minutes|seconds)?
        (The|A) (movie|trip|class|flight|meeting) (lasts|takes|took) {n} minutes. How many hours is that?
        (Convert|Change) {n} (minutes to hours|minutes into hours|seconds to minutes).
        """,
    ),
    Relation(
        "time",
        "n:2-52",
        "p = n * 7",
        """
        How many days (are|are there|is that) in {n} weeks?
        {N} (stayed|{was} away|{was} on vacation|traveled|worked) (for|) {n} weeks. How many days (is that|was that)?
        """,
    ),
    Relation(
        "time",
        "q:2-12 n=q*7",
        "p = n / 7",
        """
        How many weeks are (there in|in) {n} days?
        {N} (stayed|{was} away|traveled) for {n} days. How many weeks (is|was) that?
        """,
    ),
    Relation(
        "time",
        "n:2-10",
        "p = n * 24",
        """
        How many hours (are|are there|is that) in {n} days?
        """,
    ),
    Relation(
        "time",
        "n:2-20",
        "p = n * 12",
        """
        How many months (are|are there) in {n} years?
        {N} {has} (lived|worked) (here|there) for {n} years. How many months is that?
        """,
    ),
    Relation(
        "time",
        "a:2-120",
        "p = a * 7",
        """
        {N} (practice{s}|read{s}|run{s}|exercise{s}|play{s}|train{s}|walk{s}) {a} (minutes|pages|miles|hours|songs) (a|every|each|per) day. How many (minutes|pages|miles|hours|songs|) (is that|{does} {he} do) (in a week|per week|each week|in one week|every week)?
        {N} (eat{s}|use{s}|make{s}|sell{s}|drink{s}|need{s}) {a} {u} (a|every|each|per) day. How many {u} (is that|{does} {he} (eat|use|make|sell|need)) (in a week|per week|a week|each week)?
        """,
        weight=2,
    ),
    Relation(
        "time",
        "a:2-30 n:2-6",
        "p = n * 7; q = p * a",
        """
        {N} (eat{s}|use{s}|make{s}|sell{s}|read{s}|drink{s}) {a} {u} (a|every|each|per) day. How many {u} is that in {n} weeks?
        """,
    ),
    Relation(
        "time",
        "a:5-900",
        "p = a * 12",
        """
        {N} (pay{s}|save{s}|earn{s}|spend{s}) {$a} (a|every|each|per) month. How much (is that|{does} {he} (pay|save|earn|spend)) (in a year|per year|a year|each year)?
        {N} (make{s}|read{s}|sell{s}|buy{s}) {a} {u} (a|every|each|per) month. How many {u} is that (in a year|per year|a year)?
        """,
        weight=1.5,
    ),
    Relation(
        "time",
        "a:1-11 d:1-9 b=a+d",
        "p = b - a",
        """
        (The|A|{his}) (class|movie|shop|party|game|trip|lesson|job|meeting) (starts|begins|started|opens) at {a} (o'clock|am|pm|) and (ends|ended|closes|is over|finishes) at {b} (o'clock|). How (long (is|was) it|many hours (is that|does it last|does it take))?
        {N} (worked|slept|waited|played|studied) from {a} (o'clock|) (to|until|till) {b} (o'clock|). How (long|many hours) (is that|was that|did {he} (work|sleep|wait|play|study))?
        """,
        weight=1.5,
    ),
    Relation(
        "time",
        "a:6-11 b:1-8",
        "p = 12 - a; q = p + b",
        """
        (The|A|{his}) (class|movie|shop|party|trip|job|store|library) (starts|begins|opens) at {a} (in the morning|am|a.m.|) and (ends|closes|is over|finishes) at {b} (in the afternoon|pm|p.m.|in the evening). How (long is (it|that)|many hours (is that|does it last|is it open))?
        {N} (work{s}|drive{s}|play{s}|walk{s}) from {a} (am|in the morning) (to|until|till) {b} (pm|in the afternoon). How (long|many hours) is that?
        """,
        weight=1.5,
    ),
    Relation(
        "time",
        "b:5-90 c:5-90 a=b+c",
        "p = a - b",
        """
        (The|A) (bread|movie|game|pizza|cake|roast|lesson|trip) (takes|needs|lasts) {a} (minutes|hours|days). {b} (minutes|hours|days) (are over|have passed|are gone|have gone by). How (long is left|many (minutes|hours|days) are left|much longer does it (take|need|last)|much time is left)?
        {N} {has} {a} (minutes|hours|days) (for|to finish|until) the (test|homework|job|party). {He} (used|already used|took|needed) {b}. How (many|much time) (is left|are left|remains)?
        {N} spent {a} minutes on (math|homework|cooking) and {b} minutes on (reading|cleaning|drawing). How (many more minutes|much longer) did {he} spend on the first?
        """,
        weight=1.5,
    ),
    Relation(
        "time",
        "a:5-90 b:5-90",
        "p = a + b",
        """
        {N} (spent|spends|took|needed) {a} (minutes|hours) (on|for) (math|homework|cooking|cleaning) and {b} (minutes|hours) (on|for) (reading|drawing|shopping|washing). How (long|many (minutes|hours)) (is that|was that|did {he} spend|did it take) (in all|altogether|in total|)?
        (The|A) (movie|trip|walk|lesson) (takes|lasts|is) {a} minutes (and|and then) the (break|way back|next one) (takes|lasts|is) {b} minutes. How (long|many minutes) is (that|it) (in all|altogether|)?
        """,
        weight=1,
    ),
    Relation(
        "time",
        "n:1-5 m:1-59",
        "p = n * 60; q = p + m",
        """
        (A|The) (movie|game|trip|flight|concert|walk|show) (lasts|takes|is|lasted) {n} (hours|hour) and {m} minutes (long|). How many minutes is (that|it)?
        How many minutes are (in|there in) {n} hours and {m} minutes?
        """,
        weight=0.7,
    ),
    Relation(
        "time",
        "m:2,3,5,6,10,12,15,20,30",
        "p = 60 / m",
        """
        (A|One|Each|Every) (song|job|task|round|bus|lesson|{u1}) (takes|lasts|needs|is|comes every) {m} minutes. How many (songs|jobs|rounds|{u}|of them|) (fit|can be done|come|are that) (in|into|in|within) an hour?
        """,
    ),
    Relation(
        "time",
        "m:2,3,5,6,10,15",
        "p = 30 / m",
        """
        (A|One|Each|Every) (job|task|round|lesson|{u1}) (takes|lasts|needs) {m} minutes. How many (jobs|tasks|rounds|{u}|) can (you|I|we|{N}) (do|finish) in half an hour?
        """,
        weight=0.5,
    ),
)
