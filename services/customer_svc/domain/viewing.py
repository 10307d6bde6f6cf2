"""The bank's visibility policy under the names that the rooms of this service see it by."""

from policy.visibility import (
    CountScope,
    Grant,
    Level,
    OwnerRow,
    Scope,
    Side,
    Viewer,
    count_scope_of,
    scope_of,
)

__all__ = ["CountScope", "Grant", "Level", "OwnerRow", "Scope", "Side", "Viewer", "count_scope_of", "scope_of"]
