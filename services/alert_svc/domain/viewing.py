"""The bank's visibility policy under the names that the rooms of this service see it by."""

from policy.visibility import Grant, OwnerRow, Scope, Viewer, scope_of

__all__ = ["Grant", "OwnerRow", "Scope", "Viewer", "scope_of"]
