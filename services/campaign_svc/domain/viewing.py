"""The bank's visibility policy under the names that the rooms of this service see it by."""

from policy.visibility import Level, OwnerRow, Viewer, scope_of

__all__ = ["Level", "OwnerRow", "Viewer", "scope_of"]
