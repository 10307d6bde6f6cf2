from datetime import date

import pyarrow.parquet as pq
import pytest

from acrm.derive import STEPS, Bench, derive
from acrm.derived import DERIVED
from acrm.engines import LOCAL
from acrm.parameters import DEFAULTS
from acrm.progress import silent

TODAY = date(2026, 6, 30)


@pytest.fixture
def bench(rows, write_parquet, tmp_path):
    return Bench(LOCAL, write_parquet(rows, tmp_path / "clean"), tmp_path / "stages", TODAY, DEFAULTS)


def sorted_rows(path):
    return sorted(map(str, pq.read_table(path).to_pylist()))


def test_the_steps_derive_every_table_and_each_may_be_repeated(bench):
    told = []
    counts = {step: derive(step, bench, lambda name, done, total: told.append((name, done, total))) for step in STEPS}
    results = {name: count for step in counts.values() for name, count in step.items()}
    assert results.keys() >= DERIVED.keys()
    assert sorted(told) == sorted((name, count, count) for name, count in results.items())
    assert results["customer_figures"] == 2
    files = sorted((*bench.tables.iterdir(), *bench.stages.iterdir()))
    rows = {path: sorted_rows(path) for path in files}
    for step in ("series", "keys"):
        assert derive(step, bench, silent) == counts[step]
    # Nothing else is written, and nothing is left behind.
    assert sorted((*bench.tables.iterdir(), *bench.stages.iterdir())) == files
    assert {path: sorted_rows(path) for path in files} == rows


def test_a_step_before_those_that_it_needs_fails_and_writes_nothing(bench):
    with pytest.raises(FileNotFoundError):
        derive("keys", bench, silent)
    assert not (bench.tables / "key_tests.parquet").exists()
