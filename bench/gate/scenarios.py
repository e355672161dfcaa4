"""The scenarios of the gate, as data. The input limit binds: 60,000 tokens a second are about 40 calls."""

from dataclasses import replace

from bench.gate.budget import Budget
from bench.gate.scenario import ALL_WORKERS, Callers, Foreign, Kill, NewLimits, Outage, Scenario, Trickle

LIMITS = {"requests": 3_000.0, "input_tokens": 3_600_000.0, "output_tokens": 900_000.0}
WIDE = Budget(**LIMITS, burst_seconds=12)
NARROW = Budget(**LIMITS, burst_seconds=2)
"""Hardly any stock: what goes wrong shows at once."""
SHORT = Budget(**LIMITS, burst_seconds=1)
TEN_TIMES_SHORT = Budget(**LIMITS, burst_seconds=10)
FEW_REQUESTS = replace(NARROW, requests=2_400)

EVERYBODY = (Callers("one", each=16),)
FLOOD_AND_OTHERS = (
    Callers("flood", each=40, workers=(0, 1, 2, 3, 4)),
    Callers("second", each=32, workers=(5,)),
    Callers("third", each=32, workers=(6,)),
    Callers("fourth", each=32, workers=(7,)),
    Trickle("interactive", per_second=4, workers=(5, 6)),
)

SCENARIOS = (
    Scenario(
        "saturated",
        "Saturated",
        "128 callers on 8 workers want several times what there is; nothing else happens. The provider's buckets hold "
        "12 seconds' worth.",
        EVERYBODY,
        WIDE,
    ),
    Scenario(
        "short_burst",
        "A short burst",
        "The same, but the provider's buckets hold one second's worth, and everybody knows.",
        EVERYBODY,
        SHORT,
    ),
    Scenario(
        "wrong_burst",
        "Told a burst ten times too large",
        "The provider's buckets hold one second's worth, and everybody was told that it is ten.",
        EVERYBODY,
        SHORT,
        believed=TEN_TIMES_SHORT,
    ),
    Scenario(
        "foreign_share",
        "Somebody else takes half",
        "From second 16 to 27 another user of the same key uses half of every refill. Here and in the next three the "
        "provider's buckets hold two seconds' worth, so that what goes wrong shows at once.",
        EVERYBODY,
        NARROW,
        events=(Foreign(at=16, share=0.5), Foreign(at=27, share=0)),
    ),
    Scenario(
        "foreign_burst",
        "Somebody else takes gulps",
        "At seconds 15, 21, 26 and 31 another user of the same key takes everything that is in the buckets.",
        EVERYBODY,
        NARROW,
        events=tuple(Foreign(at=at, gulp_seconds=NARROW.burst_seconds) for at in (15, 21, 26, 31)),
    ),
    Scenario(
        "halved",
        "Limits halved in mid-run",
        "At second 20 the provider halves all limits and says so in its headers only.",
        EVERYBODY,
        NARROW,
        events=(NewLimits(at=20, factor=0.5),),
    ),
    Scenario(
        "charged",
        "429s cost budget",
        "A refused call costs a request, and requests are what there is least of.",
        EVERYBODY,
        FEW_REQUESTS,
        charge_refused=True,
    ),
    Scenario(
        "killed",
        "Half of the workers killed",
        "At second 18 four of the eight workers get a SIGKILL, with calls waiting and in flight.",
        EVERYBODY,
        WIDE,
        events=(Kill(at=18, workers=(4, 5, 6, 7)),),
    ),
    Scenario(
        "outage",
        "An outage of 8 s",
        "From second 16 to 24 every new call is answered 529. The provider's buckets hold two seconds' worth; what is "
        "refilled in the outage and finds them full is not counted as budget.",
        EVERYBODY,
        NARROW,
        events=(Outage(at=16, seconds=8),),
    ),
    Scenario(
        "fair",
        "A flood beside three others and an interactive trickle",
        "One tenant has 200 callers on five workers, three others 32 callers on a worker each, and all want more than "
        "a quarter. Four times a second somebody interactive asks for something small.",
        FLOOD_AND_OTHERS,
        WIDE,
    ),
    Scenario(
        "grown",
        "From one worker to eight",
        "One worker has the key for itself; at second 18 seven more begin, with 40 callers each.",
        (Callers("one", each=40),),
        WIDE,
        joins=dict.fromkeys(ALL_WORKERS[1:], 18.0),
    ),
)
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
