"""What a benchmark says, and how all of them are shown and kept."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results.json"


@dataclass(frozen=True)
class Result:
    """One figure. `limit` is what the machine gives without us, in the same unit; `ratio` compares with it."""

    name: str
    value: float
    unit: str
    limit: float | None = None
    ratio: float | None = None
    goal: str = ""


def show(results: Sequence[Result]) -> None:
    """Prints one table."""
    table = Table(title="benchmarks")
    for column in ("name", "value", "unit", "limit", "ratio", "goal"):
        table.add_column(column, justify="left" if column in {"name", "unit", "goal"} else "right", no_wrap=True)
    for one in results:
        table.add_row(one.name, _short(one.value), one.unit, _short(one.limit), _short(one.ratio), one.goal)
    Console(width=140).print(table)


def keep(results: Sequence[Result]) -> None:
    """Writes `results.json`; figures of benchmarks that did not run now stay as they were."""
    kept: list[dict[str, object]] = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    names = {one.name for one in results}
    fresh = [{key: value for key, value in asdict(one).items() if key != "goal"} for one in results]
    RESULTS.write_text(json.dumps([one for one in kept if one["name"] not in names] + fresh, indent=1) + "\n")


def _short(number: float | None) -> str:
    if number is None:
        return ""
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"  # noqa: PLR2004 - digits that mean something
