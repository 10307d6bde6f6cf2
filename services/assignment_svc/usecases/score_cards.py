"""Tells score cards to whom they concern (domain.md 11): a manager, his branch, the heads above them, analysts."""

from dataclasses import dataclass, replace
from datetime import date

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.caller import Caller, Role
from chassis.errors import Kind, Refused, invalid_field, not_found
from chassis.sql.audit import audit, audit_reads
from services.assignment_svc.domain.score_cards import COUNTS, WHOLE, Figure, Indicator, coarse_count
from services.assignment_svc.store import org, score_cards, score_customers
from services.assignment_svc.store.score_cards import After, Card, CardId, Month, Ranking
from services.assignment_svc.store.score_customers import CustomerPart, Opening, Viewer
from services.assignment_svc.usecases.build_score_cards import check_unfreeze
from services.assignment_svc.usecases.read_ownership import Reader, scope_of_caller

_MANAGERS = frozenset({Role.MANAGER, Role.PRIVATE_MANAGER})


@dataclass(frozen=True)
class Sight:
    """Whose cards a caller sees."""

    headed: frozenset[str]
    """Of these branches everything."""
    own: str | None
    """Of this branch the cards, and the customers behind his own."""
    staff_id: str
    counts: bool
    """Of every branch the card of the branch itself."""

    def sees(self, card_id: CardId) -> bool:
        if card_id.branch_id in self.headed or card_id.branch_id == self.own:
            return True
        return self.counts and card_id.staff_id is None

    def sees_behind(self, card_id: CardId) -> bool:
        mine = card_id.branch_id == self.own and card_id.staff_id == self.staff_id
        return card_id.branch_id in self.headed or mine

    def counts_only(self, branch_id: str) -> bool:
        return branch_id not in self.headed and branch_id != self.own


@dataclass(frozen=True)
class Behind:
    """A page of the customers behind a figure, and what of it is hidden."""

    customers: list[CustomerPart]
    hidden_count: int
    hidden_value: int
    whole_value: int
    more: bool


async def sight_of(conn: AsyncConnection, caller: Caller) -> Sight:
    """Whose cards the caller sees."""
    roles = caller.roles
    headed = await org.subtree(conn, caller.branch_id) if Role.BRANCH_HEAD in roles else frozenset[str]()
    own = caller.branch_id if roles & _MANAGERS else None
    return Sight(headed, own, caller.staff_id, counts=Role.ANALYST in roles)


async def get_card(conn: AsyncConnection, card_id: CardId, caller: Caller) -> Card:
    """One card; the same refusal if there is none and if the caller may not see it."""
    sight = await sight_of(conn, caller)
    card = await score_cards.get_card(conn, card_id)
    if card is None or not sight.sees(card_id):
        raise not_found()
    return _shown(card, sight)


async def list_cards(
    conn: AsyncConnection, ranking: Ranking, caller: Caller, after: After | None, size: int
) -> tuple[list[Card], Card | None]:
    """A page of the cards of a branch's managers, or of it and those below it; and the last if there are more."""
    (branch_id,) = ranking.branch_ids
    sight = await sight_of(conn, caller)
    if not sight.sees(CardId(ranking.month, branch_id, None if ranking.whole_branches else "-")):
        raise not_found()
    wanted = ranking
    if ranking.whole_branches:
        below = await org.subtree(conn, branch_id)
        # A manager sees no other branch's card.
        seen = below if sight.counts or branch_id in sight.headed else {branch_id}
        exact = frozenset(one for one in seen if not sight.counts_only(one)) if sight.counts else None
        wanted = replace(ranking, branch_ids=tuple(sorted(seen)), exact_branch_ids=exact)
    found = await score_cards.list_cards(conn, wanted, after, size + 1)
    page = found[:size]
    return [_shown(card, sight) for card in page], page[-1] if len(found) > size else None


async def list_customers(
    conn: AsyncConnection, card_id: CardId, indicator: Indicator, reader: Reader, page: tuple[str, int]
) -> Behind:
    """A page of the customers behind a figure, from an id on, whom the caller sees as their primary side does.

    What is behind a figure tells of the whole bank's money, which a secondary side does not see; that is added up.
    """
    if indicator not in score_customers.OF_CUSTOMERS:
        raise invalid_field("indicator", "is no sum over customers")
    after, size = page
    sight = await sight_of(conn, reader.caller)
    card = await score_cards.get_card(conn, card_id)
    if card is None or not sight.sees_behind(card_id):
        raise not_found()
    whole = next((figure.whole for figure in card.figures if figure.indicator is indicator), 0)
    viewer = await _viewer(conn, reader.caller)
    found, seen = await score_customers.customers_of(conn, card_id, indicator, viewer, (after, size + 1))
    customers = found[:size]
    await audit_reads(conn, reader.entry, [one.customer_id for one in customers])
    return Behind(customers, seen.hidden_count, whole - seen.seen_value, whole, len(found) > size)


async def get_month(conn: AsyncConnection, first: date) -> Month:
    """One month."""
    found = await score_cards.get_month(conn, first)
    if found is None:
        raise not_found()
    return found


async def unfreeze(tx: AsyncConnection, first: date, reader: Reader, reason: str) -> Month:
    """Lets a frozen month's cards change again; the audit remembers who wanted it and why."""
    await get_month(tx, first)
    await check_unfreeze(tx, first)
    if not await score_cards.unfreeze(tx, first, reader.caller.staff_id, reason):
        raise Refused(Kind.CONFLICT, "MONTH_NOT_FROZEN", "somebody else unfroze it", {"month": f"{first:%Y-%m}"})
    await audit(tx, [replace(reader.entry, detail={"month": f"{first:%Y-%m}", "reason": reason})])
    return await get_month(tx, first)


async def _viewer(conn: AsyncConnection, caller: Caller) -> Viewer:
    """Whom the caller sees as their primary side does."""
    scope = await scope_of_caller(conn, caller)
    opening = (grant for grant in scope.grants if not grant.existence_only)
    return Viewer(
        scope.near | {caller.staff_id},
        tuple(Opening(one.branch_ids, one.manager_id, one.private_manager_id) for one in opening),
    )


def _shown(card: Card, sight: Sight) -> Card:
    """An analyst's view of a branch: counts as he is told them, and with few customers no figures, but somebody's."""
    if not sight.counts_only(card.card_id.branch_id):
        return card
    customers = coarse_count(card.customer_count)
    if customers is None:
        return replace(card, customer_count=0, figures=(), score=None, rank=None, place=None, ordered_by=None)
    return replace(card, customer_count=customers, figures=tuple(map(_coarse, card.figures)))


def _coarse(figure: Figure) -> Figure:
    unknown = coarse_count(figure.unknown_count) or 0
    if figure.indicator not in COUNTS:
        return replace(figure, unknown_count=unknown)
    value = None if figure.value is None else coarse_count(figure.value, WHOLE)
    # By the target and how much of it was achieved the count is told too.
    return replace(figure, value=value, achieved=None, unknown_count=unknown)
