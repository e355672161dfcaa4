"""Steps that must not run twice and whose outcome nobody knows: `verify` is asked, then a person."""

import asyncio
import threading
from typing import Any

import pytest

from shared.action import ActionKind, Decision
from shared.job import JobSpec
from shared.origin import Origin
from shared.step import StepIntentRecord, StepRecord
from tests.worker.test_custom_loop import HELLO, World, succeeded
from worker.agent_loop import Ask
from worker.agents import Context, StepFailed


@pytest.fixture
def world() -> World:
    return World()


async def pay(world: World, context: Context, euros: int, **options: Any) -> Any:
    return await context.step("pay", world.do, euros, **({"effect": "irreversible"} | options))


async def begun(world: World, function: Any) -> Ask:
    """What is asked after a worker has died between the step's effect and its receipt."""
    await world.dies_after(1, function)
    asked = await world.attempt(function)
    assert isinstance(asked, Ask)
    assert world.ran == [10]
    return asked


@pytest.mark.parametrize("effect", ["irreversible", "compensable"])
async def test_of_a_step_that_must_not_run_twice_a_person_is_asked(world: World, effect: Any) -> None:
    async def run(context: Context, given: str) -> Any:
        try:
            return await pay(world, context, 10, effect=effect)
        except Exception:
            return "swallowed"

    (question,) = (await begun(world, run)).questions

    assert (question.kind, question.effect) == (ActionKind.OUTCOME, effect)
    assert (question.call.id, question.call.name, question.call.input) == ("pay/1", "pay", {"what": 10})
    assert question.note is not None
    assert "stopped before it could report. Its idempotency key is job_1/pay/1." in question.note
    assert len(world.lines) == 1, "asking leaves no trace but in the inbox"


@pytest.mark.parametrize("result", [None, {"receipt": [7]}, "text", False])
async def test_done_it_returns_what_the_person_has_found(world: World, result: Any) -> None:
    async def run(context: Context, given: str) -> Any:
        return [await pay(world, context, 10), await context.step("then", world.do, 1)]

    (question,) = (await begun(world, run)).questions
    world.decide(question, Decision.DONE, result=result)

    first = await world.attempt(run)

    assert first.output is not None
    assert await world.attempt(run) == first
    assert world.ran == [10, 1]
    receipt = world.journal[2]
    assert isinstance(receipt, StepRecord)
    assert (receipt.mark.id, receipt.result, receipt.error) == ("pay/1", result, "")


async def test_not_done_it_runs_again_under_the_same_key_and_is_asked_about_again(world: World) -> None:
    keys = []

    async def run(context: Context, given: str) -> Any:
        keys.append(context.idempotency_key("pay"))
        return await pay(world, context, 10)

    (question,) = (await begun(world, run)).questions
    world.decide(question, Decision.NOT_DONE)
    await world.dies_after(3, run)

    assert world.ran == [10, 10]
    (again,) = (await world.attempt(run)).questions
    world.decide(again, Decision.NOT_DONE)

    assert await world.attempt(run) == succeeded("10")
    assert world.ran == [10, 10, 10]
    assert set(keys) == {"job_1/pay/1"}
    assert [record.kind for record in world.journal] == ["step_intent", "decision"] * 2 + ["step_intent", "step"]


async def test_when_nobody_says_it_has_failed_and_did_not_run_again(world: World) -> None:
    async def run(context: Context, given: str) -> Any:
        try:
            return await pay(world, context, 10)
        except StepFailed as error:
            return error.reason

    (question,) = (await begun(world, run)).questions
    world.decide(question, Decision.EXPIRED)

    first = await world.attempt(run)

    assert "its outcome is unknown" in str(first.output)
    assert (await world.attempt(run), world.ran) == (first, [10])


@pytest.mark.parametrize(
    ("said", "output", "ran"),
    [(True, "true", [10]), ({"receipt": 7}, '{"receipt": 7}', [10]), (False, "10", [10, 10])],
)
async def test_verify_is_asked_first(world: World, said: Any, output: str, ran: list[int]) -> None:
    asked = []

    async def seen(idempotency_key: str) -> Any:
        asked.append(idempotency_key)
        return said

    async def run(context: Context, given: str) -> Any:
        return await pay(world, context, 10, verify=seen)

    await world.dies_after(1, run)

    assert await world.attempt(run) == succeeded(output)
    assert (world.ran, asked) == (ran, ["job_1/pay/1"])
    assert await world.attempt(run) == succeeded(output)
    assert (world.ran, len(asked)) == (ran, 1)


def silent(idempotency_key: str) -> None:
    return None


def broken(idempotency_key: str) -> bool:
    raise KeyError("no books")


def exits(idempotency_key: str) -> bool:
    raise SystemExit(3)


async def cancels(idempotency_key: str) -> bool:
    raise asyncio.CancelledError


async def forgets(idempotency_key: str) -> Any:
    return object()


@pytest.mark.parametrize("verify", [silent, broken, exits, cancels, forgets])
async def test_what_verify_cannot_tell_a_person_does(world: World, verify: Any) -> None:
    async def run(context: Context, given: str) -> Any:
        return await pay(world, context, 10, verify=verify)

    (question,) = (await begun(world, run)).questions
    assert question.call.name == "pay"


async def test_a_verify_for_what_may_run_again_is_a_mistake(world: World) -> None:
    async def run(context: Context, given: str) -> Any:
        return await pay(world, context, 10, effect="idempotent", verify=silent)

    with pytest.raises(TypeError, match="idempotent steps simply run again"):
        await world.attempt(run)


async def test_all_that_is_to_be_asked_is_asked_at_once_and_what_runs_beside_it_is_kept(world: World) -> None:
    others_may_end = asyncio.Event()

    async def slow() -> str:
        await others_may_end.wait()
        return "slow"

    async def run(context: Context, given: str) -> Any:
        pays = [context.step(f"pay {n}", world.do, n, effect="irreversible") for n in range(3)]
        return await asyncio.gather(*pays, context.step("slow", slow), context.call_model(HELLO))

    await world.dies_after(3, run)
    assert [type(one) for one in world.journal] == [StepIntentRecord] * 3
    ran = list(world.ran)

    attempt = asyncio.create_task(world.attempt(run))
    await asyncio.sleep(0)
    others_may_end.set()
    asked = await attempt

    assert [question.call.name for question in asked.questions] == ["pay 0", "pay 1", "pay 2"]
    assert world.ran == ran, "nothing is done that was not begun"
    assert {one.kind for one in world.journal} <= {"step_intent", "step", "model"}


async def test_one_that_is_late_is_asked_about_and_a_stopped_one_that_has_not_happened_has_failed(
    world: World,
) -> None:
    async def hangs() -> None:
        world.do("hangs")
        await asyncio.Event().wait()

    async def late(context: Context, verify: Any) -> Any:
        try:
            await context.step("pay", hangs, effect="irreversible", timeout=0.05, verify=verify)
        except StepFailed as error:
            return error.reason

    async def run(context: Context, given: str) -> Any:
        return await late(context, None)

    (question,) = (await world.attempt(run)).questions
    assert str(question.note).startswith("Out of time: it did not end within 0.05 seconds.")
    assert world.ran == ["hangs"]

    async def verified(context: Context, given: str) -> Any:
        return await late(context, lambda idempotency_key: False)

    told = "it did not end within 0.05 seconds; it was stopped, and has not happened"
    other = World()
    assert await other.attempt(verified) == succeeded(told)
    assert await other.attempt(verified) == succeeded(told)


async def test_a_thread_that_is_late_may_yet_do_it_whatever_verify_says(world: World) -> None:
    let_go = threading.Event()

    async def run(context: Context, given: str) -> Any:
        await context.step(
            "pay", let_go.wait, effect="irreversible", timeout=0.05, verify=lambda idempotency_key: False
        )

    assert len((await world.attempt(run)).questions) == 1
    let_go.set()


async def test_a_person_sees_what_can_be_shown(world: World) -> None:
    def book(what: Any, much: str, *rest: int, note: object = None) -> None: ...

    async def run(context: Context, given: str) -> Any:
        await context.step("book", book, {"a": (1,)}, "x" * 10_000, 1, 2, note=object(), effect="irreversible")

    await world.dies_after(1, run)

    (question,) = (await world.attempt(run)).questions
    shown = question.call.input
    assert (shown["what"], shown["rest"], shown["note"]) == ({"a": [1]}, [1, 2], "<object>")
    assert len(shown["much"]) < 5000
    assert shown["much"].endswith("[cut off here]")


async def test_a_retry_asks_about_what_was_under_way_under_the_key_it_had(world: World) -> None:
    asked = []

    async def run(context: Context, given: str) -> Any:
        def seen(idempotency_key: str) -> None:
            asked.append(idempotency_key)

        return await pay(world, context, 10, verify=seen)

    await world.dies_after(1, run)
    origin = Origin.of("job_1", None, turn=0, records=1, goes_on=True)
    world.job.id, world.job.spec = "job_2", JobSpec("ada", "custom", "go", "default", forked_from=origin)

    assert isinstance(await world.attempt(run), Ask)
    assert asked == ["job_1/pay/1"]


async def test_a_fork_knows_its_steps_by_the_keys_that_they_had_and_gives_new_ones_its_own(world: World) -> None:
    async def run(context: Context, given: str) -> Any:
        return [
            await context.step("pay", world.do, context.idempotency_key("pay"), effect="irreversible"),
            (await context.call_model(HELLO)).text,
            await context.step("pay", world.do, context.idempotency_key("pay"), effect="irreversible"),
        ]

    def forked(job_id: str, records: int) -> None:
        origin = Origin.of(world.job.id, world.job.spec.forked_from, turn=1, records=records, goes_on=False)
        world.job.id, world.job.spec = job_id, JobSpec("ada", "custom", "go", "default", forked_from=origin)
        world.lines = world.lines[:records]

    await world.attempt(run)
    forked("job_2", 3)
    second = await world.attempt(run)
    assert second == succeeded('["job_1/pay/1", "answer 1", "job_2/pay/2"]')
    forked("job_3", 5)
    assert await world.attempt(run) == second
    forked("job_4", 4)
    (question,) = (await world.attempt(run)).questions
    assert "job_2/pay/2" in str(question.note), "under which it was begun, and may have happened"
