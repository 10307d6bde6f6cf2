"""The document of plans is made from what PostgreSQL says."""

from pathlib import Path

import pytest

from bench import search_plans


def test_the_slowest_statements_are_told_with_their_plans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(search_plans, "QUERIES", 2)
    document = tmp_path / "search-plans.md"
    assert search_plans.main(customers=2_000, document=document) == 0
    told = document.read_text()
    assert told.count("\n## ") == search_plans.WORST
    assert told.count("Execution Time") == search_plans.WORST
