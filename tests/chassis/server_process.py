"""A process that serves a script with `serve`; what happens to it is printed, one JSON object a line."""

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from banyan.alert.v1.alert_pb2 import Alert
from banyan.alert.v1.alert_service_pb2 import GetAlertRequest

from chassis.server import App, run, serve
from chassis.settings import ServiceSettings
from chassis.testing import SignedIn
from tests.chassis.scripted import ALLOWED, Script, served


def tell(event: str, **facts: object) -> None:
    print(json.dumps({"event": event, **facts}), flush=True)  # noqa: T201 -- what the test reads


class Bank(Script):
    """Answers `alerts/slow` after two seconds, fails for `alerts/broken`, and watches without news."""

    async def GetAlert(self, request: GetAlertRequest, _context: Any) -> Alert:
        if request.name == "alerts/broken":
            raise RuntimeError("our fault")
        if request.name == "alerts/slow":
            tell("slow call begun")
            await asyncio.sleep(2)
            tell("slow call done")
        return Alert(name=request.name)

    async def then_wait(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            tell("stream ended")


class ToldRegistry:
    async def register(self, services: Sequence[tuple[str, Sequence[str]]], host: str, port: int) -> None:
        tell("registered", services=services, host=host, port=port)

    async def unregister(self) -> None:
        tell("unregistered")
        raise RuntimeError("ZooKeeper is away")  # the rest of the stop happens all the same


async def job() -> None:
    try:
        await asyncio.Event().wait()
    finally:
        tell("job cancelled")


async def first_close() -> None:
    tell("closed first")
    raise RuntimeError("did not close")


async def second_close() -> None:
    tell("closed second")


async def main(home: Path, told: dict[str, Any]) -> None:
    settings = ServiceSettings.model_validate({"home": home, "keys": home / "keys", "database_url": "", **told})
    bank = Bank()
    bank.then = bank.then_wait
    app = App(
        application="test_svc",
        error_domain="test.banyan",
        services=served(bank),
        allowed=ALLOWED,
        verifier=SignedIn(settings.keys).verifier,
        jobs=[job],
        not_ready=lambda: "told so by the test" if (home / "not_ready").exists() else None,
        close=[first_close, second_close],
    )
    await serve(settings, app, ToldRegistry())
    tell("served")


if __name__ == "__main__":
    run(main(Path(sys.argv[1]), json.loads(sys.argv[2])))
