"""Whom the statements of allocation decide over: the customers of a night's range of ids, or those of a list."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """Whom a statement decides over, where staff are active, and who is said to have made what changes.

    `candidates` is a table, or a query in brackets, with the column `customer_id`; `within` is a condition over
    `{0}customer_id` that holds for them and keeps every table to their rows.
    """

    candidates: str
    within: str = "{0}customer_id > :after AND {0}customer_id <= :until"
    duties: str = "staff_duty"
    actor: str = "'allocation'"

    def put_into(self, statement: str) -> str:
        """The statement over this source; `[o.within]` stands there for the condition over the table `o`."""
        for alias in ("", "o.", "c."):
            statement = statement.replace(f"[{alias}within]", self.within.format(alias))
        for name in ("candidates", "duties", "actor"):
            statement = statement.replace(f"[{name}]", str(getattr(self, name)))
        return statement
