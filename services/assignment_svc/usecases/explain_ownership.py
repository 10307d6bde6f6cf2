"""Says in words why a customer is owned as he is, as far as the caller may see it."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import not_found
from chassis.sql.audit import audit_reads
from policy.visibility import Scope
from services.assignment_svc.domain.explanation import Background, clauses_of, state_clause
from services.assignment_svc.domain.ownership import Owner
from services.assignment_svc.domain.words import CHINESE, ENGLISH, said
from services.assignment_svc.store import allocation, backgrounds, ownerships
from services.assignment_svc.store.ownerships import Ownership
from services.assignment_svc.usecases.read_ownership import Reader, scope_of_caller, shown_row, view_of


@dataclass(frozen=True)
class Words:
    """The same in both languages."""

    chinese: str = ""
    english: str = ""


@dataclass(frozen=True)
class Explained:
    """Each row that the caller sees, with why it is so; and the state, if he sees that."""

    rows: Sequence[tuple[Owner, Words]]
    whole: Words


async def explain_ownership(conn: AsyncConnection, customer_id: str, reader: Reader, currency: str) -> Explained:
    """Says why; the same refusal if there is no ownership and if the caller may not see it."""
    found = await ownerships.of_customers(conn, [customer_id])
    scope = await scope_of_caller(conn, reader.caller)
    view = view_of(found[0], scope) if found else None
    if view is None:
        raise not_found()
    behind = (await backgrounds.of_customers(conn, [customer_id]))[customer_id]
    percent = await _challenge_percent(conn, found[0])
    await audit_reads(conn, reader.entry, [customer_id])
    rows: list[tuple[Owner, Words]] = []
    for owner in found[0].owners:
        words = row_in_words(owner, (found[0], scope), behind, percent, currency)
        if words is not None:
            rows.append((owner, words))
    whole = Words()
    if view.state is not None:
        clause = [state_clause(view.state)]
        whole = Words(said(clause, currency, CHINESE), said(clause, currency, ENGLISH))
    return Explained(rows, whole)


def row_in_words(
    owner: Owner, seen: tuple[Ownership, Scope], behind: Background, percent: int, currency: str
) -> Words | None:
    """A row of a customer, as it is or would be, as a scope shows it; None if the scope does not show it."""
    shown = shown_row(owner, *seen)
    if shown is None:
        return None
    clauses = clauses_of(owner, shown, behind, percent)
    return Words(said(clauses, currency, CHINESE), said(clauses, currency, ENGLISH))


async def _challenge_percent(conn: AsyncConnection, ownership: Ownership) -> int:
    """The margin of the policy by which the customer was decided last."""
    return (await allocation.policy_in_force(conn, ownership.business_date)).challenge_percent
