"""Which branches' sides of a customer a viewer is on: what belongs to a side is seen from it, and from the primary."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.customer_svc.domain.viewing import Level, OwnerRow, Scope


@dataclass(frozen=True)
class Sides:
    """`branch_ids` are those whose rows open the customer to the viewer; None means every branch's is seen."""

    level: Level
    own_branch_id: str | None
    branch_ids: frozenset[str] | None

    def opens(self, branch_id: str) -> bool:
        """Whether what belongs to a branch's side is seen."""
        return self.branch_ids is None or branch_id in self.branch_ids


def sides_of(scope: Scope, rows: Sequence[OwnerRow]) -> Sides:
    """The primary side sees all sides, a secondary one those whose rows open the customer to the viewer."""
    level = scope.level(rows)
    mine = frozenset(row.branch_id for row in rows if scope.level([row]) >= Level.SECONDARY)
    return Sides(level, scope.own_branch_id(rows), None if level >= Level.PRIMARY else mine)
