"""Jobs of a process: coroutines that run as long as it does, started again with a back-off when they raise."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import structlog

from chassis import clock, telemetry

Job = Callable[[], Awaitable[None]]

_BACK_OFF_SECONDS_MIN = 0.5
_BACK_OFF_SECONDS_MAX = 30.0
# A job that ran this long before it failed is as good as new.
_SOUND_SECONDS = 60.0

log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


class Jobs:
    """The jobs that run now."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, jobs: Sequence[Job]) -> None:
        """Runs each job in a task of its own."""
        self._tasks |= {asyncio.create_task(keep_running(job)) for job in jobs}

    async def stop(self) -> None:
        """Cancels all jobs and waits until they have let go of what they hold."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()


async def keep_running(job: Job, back_off_seconds: float = _BACK_OFF_SECONDS_MIN) -> None:
    """Runs a job until it returns; each time it raises, that is logged, counted, and the job is started again."""
    name = getattr(job.func if isinstance(job, partial) else job, "__qualname__", type(job).__name__)
    delay = back_off_seconds
    while True:
        started = clock.monotonic_seconds()
        try:
            await job()
        except (Exception, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            # Something inside may have been cancelled without the job itself being told to stop.
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            telemetry.JOB_FAILURES.labels(name).inc()
            log.exception("job_failed", job=name)
        else:
            log.info("job_done", job=name)
            return
        if clock.monotonic_seconds() - started > _SOUND_SECONDS:
            delay = back_off_seconds
        await asyncio.sleep(delay)
        delay = min(2 * delay, _BACK_OFF_SECONDS_MAX)
