"""What must hold after any chaos. Each promise is a function from the evidence to complaints: none, if it was kept."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from client.sluice_client import FINISHED
from shared.usage import Usage
from tests.faults.chaos.errands import TURNS
from tests.faults.chaos.evidence import Evidence, Exhibit


@dataclass(frozen=True, slots=True)
class Complaint:
    """One breach of a promise; `job_id` when it is about a job."""

    text: str
    job_id: str = ""


Promise = Callable[[Evidence], Iterator[Complaint]]
PROMISES: dict[str, Promise] = {}
"""Each with what is counted in it: so many there are, and 0 there must be."""


def promise(counts: str) -> Callable[[Promise], Promise]:
    def register(check: Promise) -> Promise:
        PROMISES[counts] = check
        return check

    return register


def judge(evidence: Evidence) -> dict[str, list[Complaint]]:
    """Every promise with its complaints."""
    return {counts: list(check(evidence)) for counts, check in PROMISES.items()}


def _of(exhibit: Exhibit, text: str) -> Complaint:
    return Complaint(f"{exhibit.name}: {text}", exhibit.job_id)


@promise("submits never accepted")
def every_submit_is_accepted_in_the_end(evidence: Evidence) -> Iterator[Complaint]:
    for exhibit in evidence.exhibits:
        if not exhibit.job_id:
            yield _of(exhibit, "no submit was answered 202")


@promise("accepted jobs lost")
def no_accepted_job_is_lost(evidence: Evidence) -> Iterator[Complaint]:
    listed = {job["id"] for job in evidence.listed}
    for exhibit in evidence.exhibits:
        if not exhibit.job_id:
            continue
        if not exhibit.story.last:
            yield _of(exhibit, f"has not ended; last seen {exhibit.story.seen[-1:]}")
        elif exhibit.job_id not in listed:
            yield _of(exhibit, "is not in the list of jobs")


@promise("jobs that ended otherwise than they should")
def every_job_ends_as_it_should(evidence: Evidence) -> Iterator[Complaint]:
    for exhibit in evidence.exhibits:
        allowed = {"succeeded"} if exhibit.story.errand.cancel_after is None else {"succeeded", "cancelled"}
        status = exhibit.story.last.get("status")
        if status is not None and status not in allowed:
            yield _of(exhibit, f"ended {status}: {exhibit.story.last.get('error')}")
        elif status == "succeeded" and len(exhibit.turns) != TURNS:
            yield _of(exhibit, f"succeeded with {len(exhibit.turns)} turns instead of {TURNS}")


@promise("jobs that changed after their end")
def a_job_ends_once(evidence: Evidence) -> Iterator[Complaint]:
    for exhibit in evidence.exhibits:
        story = exhibit.story
        revisions = [revision for revision, _ in story.seen]
        if revisions != sorted(revisions):
            yield _of(exhibit, f"its revisions went back: {story.seen}")
        ends = [sighting for sighting in story.seen if sighting[1] in FINISHED]
        if story.again:
            ends.append((story.again["revision"], story.again["status"]))
        if len(set(ends)) > 1:
            yield _of(exhibit, f"ended more than once: {ends}")


@promise("jobs without their one arq result")
def arq_is_told_of_the_end(evidence: Evidence) -> Iterator[Complaint]:
    for exhibit in evidence.exhibits:
        status = exhibit.story.last.get("status")
        told = exhibit.arq_result and (exhibit.arq_result["r"], exhibit.arq_result["s"])
        if status and told != (status, status == "succeeded"):
            yield _of(exhibit, f"ended {status}, and arq's clients are told {exhibit.arq_result}")


@promise("submits with one key that made two jobs")
def a_key_makes_one_job(evidence: Evidence) -> Iterator[Complaint]:
    made = Counter(str(job["input"]) for job in evidence.listed)
    for exhibit in evidence.exhibits:
        if len(exhibit.story.job_ids) > 1:
            yield _of(exhibit, f"was answered with {sorted(exhibit.story.job_ids)}")
        elif made[exhibit.story.errand.prompt] > 1:
            yield _of(exhibit, f"is listed {made[exhibit.story.errand.prompt]} times")


@promise("jobs that nobody submitted")
def nothing_comes_from_nowhere(evidence: Evidence) -> Iterator[Complaint]:
    prompts = {exhibit.story.errand.prompt for exhibit in evidence.exhibits}
    for job in evidence.listed:
        if job["input"] not in prompts:
            yield Complaint(f"{job['id']} came from nowhere", job["id"])


@promise("finished turns bought again, beyond one for each loss of its worker")
def a_finished_turn_is_not_bought_again(evidence: Evidence) -> Iterator[Complaint]:
    for exhibit in evidence.exhibits:
        again = exhibit.bought - len(exhibit.turns)
        if again > losses(exhibit):
            yield _of(exhibit, f"{again} turns were bought and lost in {losses(exhibit)} losses of its worker")


@promise("turns in a journal that the provider never sold")
def a_turn_comes_from_the_provider(evidence: Evidence) -> Iterator[Complaint]:
    for exhibit in evidence.exhibits:
        if len(exhibit.turns) > exhibit.bought:
            yield _of(exhibit, f"has {len(exhibit.turns)} turns and {exhibit.bought} answers of the provider")


def losses(exhibit: Exhibit) -> int:
    """How often a turn in flight may have been lost: by a death, by a second SIGTERM, by a cancel."""
    deaths = int(exhibit.story.last.get("attempt", 1)) - 1
    return deaths + exhibit.hurried + (exhibit.story.cancel is not None)


@promise("turns that are twice in a journal")
def a_journal_has_each_turn_once(evidence: Evidence) -> Iterator[Complaint]:
    for exhibit in evidence.exhibits:
        numbers = [record["turn"] for record in exhibit.turns]
        receipts = Counter(record["tool_use_id"] for record in exhibit.journal if record["kind"] == "result")
        if len(set(numbers)) != len(numbers):
            yield _of(exhibit, f"its journal has the turns {numbers}")
        for tool_use_id, count in receipts.items():
            if count > 1:
                yield _of(exhibit, f"its journal has {count} receipts of {tool_use_id}")


@promise("jobs whose usage is not that of their journal")
def usage_is_the_sum_of_the_journal(evidence: Evidence) -> Iterator[Complaint]:
    for exhibit in evidence.exhibits:
        if not exhibit.story.last:
            continue
        calls = (record for record in exhibit.journal if "usage" in record)  # those that broke off, too
        journal = sum((Usage(**record["usage"]) for record in calls), Usage())
        journal += Usage(tool_calls=sum(record["kind"] == "result" for record in exhibit.journal))
        expected, usage = journal.as_json(), exhibit.story.last["usage"]
        if wrong := {name: (usage[name], value) for name, value in expected.items() if usage[name] != value}:
            yield _of(exhibit, f"its usage and its journal differ: {wrong}")


@promise("irreversible tools run more than once")
def what_cannot_be_undone_is_done_once(evidence: Evidence) -> Iterator[Complaint]:
    for exhibit in evidence.exhibits:
        for chore, count in exhibit.effects.items():
            if chore.startswith("pay ") and count > 1:
                yield _of(exhibit, f"{chore} was done {count} times")


@promise("tools that ran under two idempotency keys")
def a_tool_call_has_one_idempotency_key(evidence: Evidence) -> Iterator[Complaint]:
    for exhibit in evidence.exhibits:
        for chore, count in exhibit.idempotency_keys.items():
            if count > 1:
                yield _of(exhibit, f"{chore} was done under {count} keys")


@promise("receipts of tools that left no mark")
def what_is_said_to_be_done_is_done(evidence: Evidence) -> Iterator[Complaint]:
    for exhibit in evidence.exhibits:
        if exhibit.story.last.get("status") != "succeeded":
            continue
        receipts = [record for record in exhibit.journal if record["kind"] == "result" and not record["is_error"]]
        done = {receipt["content"] for receipt in receipts}
        for chore, count in exhibit.effects.items():
            tool, key = chore.split()
            said = f"{key} is {'paid' if tool == 'pay' else 'filed'}" in done
            if said and not count:
                yield _of(exhibit, f"{chore} has a receipt but was never done")


@promise("cancels broken")
def a_cancel_is_a_promise(evidence: Evidence) -> Iterator[Complaint]:
    for exhibit in evidence.exhibits:
        promised = exhibit.story.cancel in ("cancelling", "cancelled")
        status = exhibit.story.last.get("status")
        if promised and status != "cancelled":
            yield _of(exhibit, f"its cancel was answered {exhibit.story.cancel!r}, and it ended {status}")


@promise("answers of the api that were neither good nor an honest refusal")
def the_api_is_honest(evidence: Evidence) -> Iterator[Complaint]:
    for exhibit in evidence.exhibits:
        yield from (_of(exhibit, strange) for strange in exhibit.story.strange)


@promise("keys without a lifetime left in Redis")
def nothing_leaks(evidence: Evidence) -> Iterator[Complaint]:
    yield from (Complaint(key) for key in evidence.leaks)


@promise("tracebacks in a log")
def nothing_breaks_unforeseen(evidence: Evidence) -> Iterator[Complaint]:
    for ending in evidence.endings:
        for line in ending.log:
            if "exception" in line or "Traceback (most recent call last)" in line.get("text", ""):
                text = line.get("exception") or line.get("text")
                yield Complaint(f"{ending.name}: {line.get('event', '')} {text}", line.get("job", ""))


@promise("processes that ended by themselves")
def nobody_leaves_unasked(evidence: Evidence) -> Iterator[Complaint]:
    for ending in evidence.endings:
        if not ending.killed and not ending.drained:
            yield Complaint(f"{ending.name} ended with {ending.exit_code}")


@promise("drains that did not exit with 0")
def a_drain_ends_well(evidence: Evidence) -> Iterator[Complaint]:
    for ending in evidence.endings:
        if ending.drained and not ending.killed and ending.exit_code != 0:
            yield Complaint(f"{ending.name} was asked to go and ended with {ending.exit_code}")
