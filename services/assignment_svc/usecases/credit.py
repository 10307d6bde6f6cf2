"""Records who gets credit beside the owners, and makes versions of the policy it is shared by (domain.md 11)."""

from dataclasses import replace
from datetime import date

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.caller import Caller, Role
from chassis.errors import Kind, Refused, Violation, invalid_fields, not_found
from chassis.sql.audit import audit, audit_reads
from policy.visibility import Level
from services.assignment_svc.domain import score_cards as rules
from services.assignment_svc.domain.credit import share_faults
from services.assignment_svc.domain.score_cards import ScorePolicy
from services.assignment_svc.store import accounts, credit, org, ownerships, score_cards
from services.assignment_svc.store.credit import Page, Recorded, StoredPolicy
from services.assignment_svc.usecases.build_score_cards import frozen_month
from services.assignment_svc.usecases.read_ownership import Reader, level_of, scope_of_caller

# So far ahead, and so long, is a slip of the pen.
_DAYS_MAX = 366


async def check_primary(conn: AsyncConnection, customer_id: str, caller: Caller) -> None:
    """Refuses whoever is not on the customer's primary side, as if he were not there; nobody looks at himself."""
    found = await ownerships.of_customers(conn, [customer_id])
    scope = await scope_of_caller(conn, caller)
    if not found or level_of(found[0], scope) < Level.PRIMARY:
        raise not_found()


async def check_head(conn: AsyncConnection, branch_id: str, caller: Caller) -> None:
    """Refuses whoever heads neither the branch nor one above it, as if it were not there."""
    if Role.BRANCH_HEAD not in caller.roles or branch_id not in await org.subtree(conn, caller.branch_id):
        raise not_found()


async def record_interception(tx: AsyncConnection, wanted: Recorded, reader: Reader) -> Recorded:
    """Records who gets a part of the primary side's credit: active staff, at his branch, who are not near to him."""
    await _check_days(tx, wanted, "interception")
    staff = await org.get_staff(tx, wanted.staff_id)
    is_near = wanted.owner_id in await accounts.conflicts(tx, wanted.staff_id)
    if staff is None or not staff.is_active(wanted.from_date) or is_near:
        raise _unfit("interception.interceptor", wanted.staff_id)
    stored = await credit.add_interception(tx, replace(wanted, place_id=staff.branch_id))
    await _remember(tx, reader, stored, customer_id=stored.owner_id)
    return stored


async def withdraw_interception(
    tx: AsyncConnection, customer_id: str, interception_id: str, reader: Reader, reason: str
) -> Recorded:
    """Takes an interception back, unless frozen cards count it."""
    found = await credit.interceptions(tx, customer_id, Page(1, only=interception_id))
    if not found:
        raise not_found()
    await _check_open(tx, found[0].from_date)
    await credit.end_interception(tx, customer_id, interception_id)
    await _remember(tx, reader, found[0], customer_id=customer_id, reason=reason)
    return found[0]


async def list_interceptions(conn: AsyncConnection, customer_id: str, reader: Reader, page: Page) -> list[Recorded]:
    """A customer's interceptions for his primary side, the youngest first."""
    await check_primary(conn, customer_id, reader.caller)
    await audit_reads(conn, reader.entry, [customer_id])
    return await credit.interceptions(conn, customer_id, page)


async def record_custody(tx: AsyncConnection, wanted: Recorded, reader: Reader) -> Recorded:
    """Records who gets a manager's credit while he is away: both work at the branch."""
    await _check_days(tx, wanted, "credit_custody")
    if wanted.staff_id == wanted.place_id:
        raise invalid_fields([Violation("credit_custody.to_manager", "is the manager himself")])
    for field, staff_id in (("from_manager", wanted.place_id), ("to_manager", wanted.staff_id)):
        staff = await org.get_staff(tx, staff_id)
        if staff is None or staff.branch_id != wanted.owner_id or not staff.is_active(wanted.from_date):
            raise _unfit(f"credit_custody.{field}", staff_id)
    stored = await credit.add_custody(tx, wanted)
    await _remember(tx, reader, stored)
    return stored


async def withdraw_custody(
    tx: AsyncConnection, branch_id: str, custody_id: str, reader: Reader, reason: str
) -> Recorded:
    """Takes a custody back, unless frozen cards count it."""
    found = await credit.custodies(tx, branch_id, Page(1, only=custody_id))
    if not found:
        raise not_found()
    await _check_open(tx, found[0].from_date)
    await credit.end_custody(tx, branch_id, custody_id)
    await _remember(tx, reader, found[0], reason=reason)
    return found[0]


async def create_policy(tx: AsyncConnection, wanted: ScorePolicy, reader: Reader) -> StoredPolicy:
    """Makes the next version, for months that are not frozen, from the start of the version before on or later."""
    faults = rules.policy_faults(wanted)
    if faults:
        shared = share_faults(wanted.shares)
        reason = "SHARES_NOT_100" if shared or faults[-1].field == "weights" else "FIELD_INVALID"
        raise invalid_fields([Violation(f"score_policy.{one.field}", one.description) for one in faults], reason)
    last = await credit.lock_policies(tx)
    frozen = await score_cards.frozen_months(tx)
    if frozen and wanted.from_date <= frozen[-1]:
        raise frozen_month(frozen[-1])
    if wanted.from_date < last.policy.from_date:
        why = f"is before {last.policy.from_date.isoformat()}, on which the version before begins"
        raise invalid_fields([Violation("score_policy.from_date", why)])
    stored = await credit.add_policy(tx, replace(wanted, version=last.policy.version + 1), reader.caller.staff_id)
    await audit(tx, [replace(reader.entry, detail={"version": str(stored.policy.version)})])
    return stored


async def _check_days(tx: AsyncConnection, wanted: Recorded, message: str) -> None:
    faults: list[Violation] = []
    if wanted.until_date <= wanted.from_date:
        faults.append(Violation(f"{message}.until_date", "must be after from_date"))
    elif (wanted.until_date - wanted.from_date).days > _DAYS_MAX:
        faults.append(Violation(f"{message}.until_date", f"is more than {_DAYS_MAX} days after from_date"))
    if faults:
        raise invalid_fields(faults)
    await _check_open(tx, wanted.from_date)


async def _check_open(tx: AsyncConnection, from_date: date) -> None:
    """Refuses what would change a frozen month: those are the past, so the first day decides."""
    frozen = await score_cards.frozen_months(tx)
    if frozen and frozen[-1] >= from_date.replace(day=1):
        raise frozen_month(frozen[-1])


async def _remember(
    tx: AsyncConnection, reader: Reader, what: Recorded, *, customer_id: str = "", reason: str = ""
) -> None:
    detail = {"id": what.record_id, "staff": what.staff_id, "from_date": what.from_date.isoformat()}
    detail |= {"until_date": what.until_date.isoformat(), "reason": reason or what.reason}
    await audit(tx, [replace(reader.entry, customer_id=customer_id, detail=detail)])


def _unfit(field: str, staff_id: str) -> Refused:
    message = f"{field}: no active staff member of the branch, or the customer himself or a relative"
    return Refused(
        Kind.PRECONDITION, "CREDIT_UNFIT", message, {"field": field, "staff": staff_id}, [Violation(field, message)]
    )
