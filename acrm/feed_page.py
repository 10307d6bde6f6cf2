"""The part of docs/feed.md that describes the tables, made from the code so that the two cannot differ."""

from collections.abc import Iterable

from acrm.columns import Column, Table
from acrm.derived import DERIVED
from acrm.tables import FEED


def feed_page() -> str:
    """All tables, those of the feed first, as Markdown."""
    parts = ["## Tables of the feed", *_sections(FEED.values())]
    parts += ["## Tables that the nightly batch derives", *_sections(DERIVED.values())]
    return "\n\n".join(parts) + "\n"


def _sections(tables: Iterable[Table]) -> Iterable[str]:
    for table in tables:
        yield f"### {table.name}\n\n{table.description} Key: {', '.join(f'`{name}`' for name in table.key)}."
        lines = ["| column | type | | meaning |", "|---|---|---|---|"]
        lines += [f"| `{c.name}` | {c.kind} | {_needed(c)} | {_meaning(c)} |" for c in table.columns]
        yield "\n".join(lines)
        if rules := [f"`{rule.column}` {rule.reason}" for rule in table.rules]:
            yield f"A row is bad if {'; if '.join(rules)}."


def _needed(column: Column) -> str:
    return "required" if column.required else ""


def _meaning(column: Column) -> str:
    facts = [column.description]
    if column.codes:
        facts.append("One of " if column.kind == "code" else "Of ")
        facts[-1] += " ".join(f"`{code}`" for code in column.codes) + "."
    if column.reference:
        facts.append(f"A row of `{column.reference}`.")
    if column.minimum is not None and column.minimum > 0:
        facts.append(f"At least {column.minimum}.")
    if column.maximum is not None:
        facts.append(f"At most {column.maximum}.")
    if column.kind == "amount" and column.minimum is None:
        facts.append("May be below 0.")
    return " ".join(facts)
