"""What managers' visits of a month come to, for score cards."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.assignment_svc.domain.visits import VisitState
from services.assignment_svc.store.visit_duties import summaries

_BRANCHES = text("SELECT branch_id FROM branch")
_STAFF = text("SELECT staff_id, branch_id FROM staff")
_EVERYBODY = 2**31 - 1


@dataclass(frozen=True)
class VisitsDone:
    """Visits done and due, in percent of a visit; valid ones, and all that were made."""

    done_percent: int = 0
    due_percent: int = 0
    valid_count: int = 0
    visit_count: int = 0

    def __add__(self, other: "VisitsDone") -> "VisitsDone":
        return VisitsDone(
            self.done_percent + other.done_percent,
            self.due_percent + other.due_percent,
            self.valid_count + other.valid_count,
            self.visit_count + other.visit_count,
        )


async def of_month(conn: AsyncConnection, first: date) -> Mapping[tuple[str, str], VisitsDone]:
    """By branch and manager, where he works now; under no manager the branch's own sum."""
    branch_ids = frozenset((await conn.execute(_BRANCHES)).scalars())
    works_at = {row.staff_id: row.branch_id for row in await conn.execute(_STAFF)}
    found: dict[tuple[str, str], VisitsDone] = {}
    for one in await summaries(conn, first, branch_ids, "", _EVERYBODY):
        counts = one.state_counts
        done = VisitsDone(
            one.duty.done_percent, one.duty.due_count * 100, counts.get(VisitState.VALID, 0), sum(counts.values())
        )
        branch_id = works_at.get(one.manager_id)
        if branch_id is not None:
            found[branch_id, one.manager_id] = done
            found[branch_id, ""] = found.get((branch_id, ""), VisitsDone()) + done
    return found
