"""What is to become of a job, from how its attempt went."""

from shared import backoff, clock
from shared.job import Job, JobError, WaitReason
from shared.queue import Conclusion
from shared.states import Event
from worker.agent_loop import Ask
from worker.agents.agent import Retry
from worker.attempt import Attempt
from worker.provider import ProviderRefused
from worker.release import Release, within
from worker.replay import AgentChanged
from worker.tool_runner import cut

Verdict = Conclusion | Release | Ask


def failed(type: str, code: str, message: str, *, retryable: bool) -> Conclusion:
    return Conclusion(Event.FAIL, error=JobError(type, code, cut(message), retryable))


def worker_crashed(job: Job) -> Conclusion:
    """A job that may be what kills its workers: each that died with it, and when."""
    deaths = "; ".join(f"{death.owner} at {clock.rfc3339(death.at_ms)}" for death in job.deaths)
    story = f"{job.crashes} workers died or were silent for a whole lease while running this job: {deaths}"
    return failed("worker", "worker_crashed", story, retryable=False)


def after_failure(error: Exception, retry: Retry, attempt: Attempt) -> Verdict:
    """The agent's own code failed: it goes on from its journal after a while, until its attempts are used up."""
    failures = attempt.failures + 1
    if failures >= retry.attempts:
        if isinstance(error, AgentChanged):
            return failed("agent", "agent_changed", str(error), retryable=True)
        return failed("agent", "agent_error", f"{type(error).__name__}: {error}", retryable=True)
    delay = backoff.spread(backoff.exponential(failures, base=retry.base_seconds, cap=retry.cap_seconds))
    return Release(WaitReason.RETRY_BACKOFF, within(attempt, delay))


def refused(error: ProviderRefused) -> Conclusion:
    """In the provider's own words."""
    where = f" (request id {error.request_id})" if error.request_id else ""
    return failed("provider", error.type, f"{error}{where}", retryable=False)
