"""`python -m bench`: which benchmarks there are, and what it prints and keeps."""

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import bench.__main__ as command
from bench import results
from bench.results import Result


def test_a_name_that_no_benchmark_has_is_told_the_names_there_are():
    done = subprocess.run([sys.executable, "-m", "bench", "nothing"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no benchmark nothing" in done.stderr
    assert all(name in done.stderr for name in command.BENCHMARKS)


@pytest.mark.parametrize("name", command.BENCHMARKS)
def test_each_benchmark_can_be_measured(name: str):
    module = import_module(f"bench.{name}")
    assert callable(module.measure)
    assert module.__doc__


def test_figures_are_kept_until_they_are_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(results, "RESULTS", tmp_path / "results.json")
    results.keep([Result("a", 1.0, "s", 2.0, 0.5, "≥ 1"), Result("b", 3.0, "s")])
    results.keep([Result("a", 4.0, "s")])
    assert json.loads(results.RESULTS.read_text()) == [
        {"name": "b", "value": 3.0, "unit": "s", "limit": None, "ratio": None},
        {"name": "a", "value": 4.0, "unit": "s", "limit": None, "ratio": None},
    ]


def test_the_table_shows_every_figure(capsys: pytest.CaptureFixture[str]):
    results.show([Result("rows", 12345.6, "rows/s", 20000.0, 0.617, "≥ 0.5"), Result("small", 0.0123, "s")])
    printed = capsys.readouterr().out
    assert all(part in printed for part in ("rows/s", "12,346", "20,000", "0.617", "≥ 0.5", "0.0123"))
