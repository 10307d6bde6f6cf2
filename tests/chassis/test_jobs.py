import asyncio
from collections.abc import Callable

import pytest
from prometheus_client import REGISTRY

from chassis import telemetry
from chassis.jobs import Jobs, keep_running


@pytest.fixture(autouse=True)
def _logs() -> None:
    telemetry.log_through_stdlib()


def failures_of(job: Callable[..., object]) -> float:
    return REGISTRY.get_sample_value("job_failures_total", {"job": job.__qualname__}) or 0


async def test_a_job_that_raises_is_started_again_and_counted(caplog: pytest.LogCaptureFixture):
    runs = 0

    async def job() -> None:
        nonlocal runs
        runs += 1
        if runs < 4:
            raise RuntimeError("the peer is away")

    await asyncio.wait_for(keep_running(job, back_off_seconds=0.001), 5)
    assert runs == 4
    assert failures_of(job) == 3
    assert "the peer is away" in caplog.text


async def test_a_job_in_which_something_is_cancelled_is_started_again():
    runs = 0

    async def job() -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise asyncio.CancelledError

    await asyncio.wait_for(keep_running(job, back_off_seconds=0.001), 5)
    assert runs == 2


async def test_the_back_off_doubles(monkeypatch: pytest.MonkeyPatch):
    waited: list[float] = []

    async def note(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 9:
            raise KeyboardInterrupt

    async def job() -> None:
        raise RuntimeError

    monkeypatch.setattr("chassis.jobs.asyncio.sleep", note)
    with pytest.raises(KeyboardInterrupt):
        await keep_running(job)
    assert waited == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


async def test_stop_waits_until_jobs_have_let_go():
    begun, let_go = asyncio.Event(), False

    async def job() -> None:
        nonlocal let_go
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            let_go = True

    jobs = Jobs()
    jobs.start([job])
    await begun.wait()
    await jobs.stop()
    assert let_go
    await jobs.stop()
