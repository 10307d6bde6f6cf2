import stat
from pathlib import Path

import pytest

from chassis.files import write_once


def test_a_file_is_written_with_its_folder_and_mode(tmp_path: Path):
    path = tmp_path / "a" / "b"
    write_once(path, b"x", 0o600)
    assert path.read_bytes() == b"x"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_is_never_overwritten_and_no_draft_stays(tmp_path: Path):
    write_once(tmp_path / "a", b"first", 0o644)
    with pytest.raises(FileExistsError):
        write_once(tmp_path / "a", b"second", 0o644)
    assert (tmp_path / "a").read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
