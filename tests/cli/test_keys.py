import http.server
import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from chassis.clock import now
from chassis.data_keys import KeyPurpose, list_data_keys, make_data_key, make_missing_data_keys
from cli import keys
from devstack import services
from devstack.home import Home
from devstack.supervisor import ProcessState, State

told: dict[tuple[KeyPurpose, int], int] = {}


@pytest.fixture
def metrics_port() -> Iterator[int]:
    """An instance that tells what is left under which key."""

    class Metrics(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            for (purpose, key_id), count in told.items():
                line = f'data_key_rows_left{{purpose="{purpose}",key_id="{key_id}"}} {count}.0\n'
                self.wfile.write(line.encode())

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Metrics) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()
    told.clear()


@pytest.fixture
def keys_command(home_folder: Path) -> Callable[..., Result]:
    """Runs a command of the home in this process: it needs none of its own, and takes a second less."""

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(keys.app, [*arguments, "--home", str(home_folder)])

    return run


@pytest.fixture
def folder(home_folder: Path) -> Path:
    """The data keys of a home that was used: the first ones, and a later cipher key."""
    home = Home(home_folder)
    home.lock()
    home.unlock()
    data_keys = services.data_keys(home)
    make_missing_data_keys(data_keys, now() - timedelta(days=5))
    make_data_key(data_keys, KeyPurpose.CIPHER, now() - timedelta(days=3))
    return data_keys


def rows(keys_command) -> list[dict[str, object]]:
    done = keys_command("status", "--json")
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.usefixtures("folder")
def test_a_new_key_rests_and_the_others_are_shown_as_they_are(keys_command):
    assert [(row["purpose"], row["state"], row["customers_left"]) for row in rows(keys_command)] == [
        ("cipher", "reads", None),
        ("cipher", "writes", None),
        ("hash", "writes", None),
    ]
    done = keys_command("rotate", "hash", "--json")
    made = json.loads(done.stdout)
    assert (made["purpose"], made["rest_seconds"]) == ("hash", 600)
    assert [row["state"] for row in rows(keys_command) if row["purpose"] == "hash"] == ["writes", "rests"]
    assert "writes in 10 minutes" in keys_command("rotate").stdout
    assert "unknown" in keys_command("status").stdout


def test_only_a_key_that_nothing_is_under_goes(keys_command, folder: Path, home_folder: Path, metrics_port: int):
    old, new, hashing = (key.key_id for key in list_data_keys(folder, now()))
    refused = keys_command("remove", "cipher", str(old))
    assert (refused.exit_code, "nobody told what is under it" in refused.stderr) == (1, True)
    instance = ProcessState("customer-1", os.getpid(), 0, metrics_port, 0, now().isoformat(), running=True)
    state = State(os.getpid(), "ready", ready=True, processes=(instance,))
    (home_folder / "state.json").write_text(json.dumps(asdict(state)))
    told[KeyPurpose.CIPHER, old] = 7
    assert [row["customers_left"] for row in rows(keys_command)] == [7, None, None]
    assert "7 customers" in keys_command("remove", "cipher", str(old)).stderr
    told[KeyPurpose.CIPHER, old] = 0
    assert "it writes" in keys_command("remove", "cipher", str(new)).stderr
    assert "has no hash key" in keys_command("remove", "hash", str(old + 1)).stderr
    (folder / "cipher" / f"{new}.key").rename(folder / "cipher" / f"{new + 150_000}.key")
    assert "an import under way" in keys_command("remove", "cipher", str(old)).stderr
    (folder / "cipher" / f"{new + 150_000}.key").rename(folder / "cipher" / f"{new}.key")
    assert keys_command("remove", "cipher", str(old)).exit_code == 0
    assert [key.key_id for key in list_data_keys(folder, now())] == [new, hashing]


@pytest.mark.parametrize("arguments", [("status",), ("rotate",), ("remove", "cipher", "1")])
def test_a_folder_that_is_none_of_data_keys_is_told(keys_command, home_folder: Path, arguments):
    done = keys_command(*arguments)
    assert (done.exit_code, "is not the home of any run" in done.stderr) == (1, True)
    done = keys_command(*arguments, "--data-keys", str(home_folder))
    assert (done.exit_code, "holds no data key" in done.stderr) == (1, True)
    assert not (home_folder / "cipher").exists()
