"""The bank's visibility policy under the names that the rooms of this service see it by."""

from dataclasses import dataclass

from policy.visibility import Covered, Grant, OwnerRow, Scope, Viewer, scope_of

__all__ = ["Covered", "Grant", "OwnerRow", "Reading", "Scope", "Viewer", "scope_of"]


@dataclass(frozen=True)
class Reading:
    """Who reads, in which request and by which method: what the audit keeps of a read."""

    viewer: Viewer
    request_id: str
    method: str
