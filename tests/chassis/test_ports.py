from pathlib import Path

import pytest

from chassis import ports


class Host:
    """A machine on which some ports are taken."""

    def __init__(self, *taken: int) -> None:
        self.taken = set(taken)

    def listen(self, port: int) -> int:
        if port in self.taken:
            raise OSError("address in use")
        return port or 50_000 + len(self.taken)


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "home" / "port"


def test_a_free_port_is_kept_and_taken_again(kept: Path):
    assert ports.take(kept, 0, Host().listen) == 50_000
    assert ports.take(kept, 0, Host(1, 2, 3).listen) == 50_000


def test_a_kept_port_that_is_taken_is_given_up(kept: Path):
    ports.take(kept, 0, Host().listen)
    assert ports.take(kept, 0, Host(50_000).listen) == 50_001
    assert kept.read_text() == "50001\n"


def test_a_spoiled_file_is_replaced(kept: Path):
    kept.parent.mkdir()
    kept.write_text("half a numb")
    assert ports.take(kept, 0, Host().listen) == 50_000


def test_a_fixed_port_is_taken_or_the_start_fails(kept: Path):
    assert ports.take(kept, 9001, Host().listen) == 9001
    with pytest.raises(OSError, match="in use"):
        ports.take(kept, 9001, Host(9001).listen)
    assert not kept.exists()
