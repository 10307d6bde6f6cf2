"""What commands print: text and tables for people, one JSON document for machines, errors on stderr."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

import typer
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Screen:
    """Where a command prints to. With `as_json`, stdout holds the result and nothing else; the rest goes to stderr."""

    as_json: bool = False

    @property
    def console(self) -> Console:
        """For results and, unless a machine reads them, for what happens meanwhile."""
        return Console(stderr=self.as_json, highlight=False)

    def say(self, text: str) -> None:
        """Prints a line for people."""
        self.console.print(text, markup=False, soft_wrap=True)

    def result(self, value: object) -> None:
        """Prints the result for a machine, if one asked."""
        if self.as_json:
            typer.echo(json.dumps(value, indent=2, ensure_ascii=False))

    def table(self, title: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Prints rows for people, if there are any; their keys are the headings, numbers stand to the right."""
        if self.as_json or not rows:
            return
        table = Table(title=title, title_justify="left", title_style="bold")
        for name, value in rows[0].items():
            table.add_column(
                name.replace("_", " "), justify="right" if isinstance(value, int | float) else "left", overflow="fold"
            )
        for row in rows:
            table.add_row(*(str(value) for value in row.values()))
        self.console.print(table)


def fail(message: str, code: int = 1) -> NoReturn:
    """Tells on stderr why the command ends, and ends it."""
    Console(stderr=True, highlight=False).print(message, markup=False, soft_wrap=True, style="red")
    raise typer.Exit(code)
