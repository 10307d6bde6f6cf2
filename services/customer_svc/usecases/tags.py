"""Tags: who defines them, who sees and changes a customer's, and what a change by hand does."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Kind, Refused, invalid_field, not_found
from services.customer_svc.domain.tags import CustomerTag, HandChange, Tag, TagChange, TagKind, WantedTags
from services.customer_svc.domain.viewing import Reading, Viewer
from services.customer_svc.store import customers, org, owner_rows, tag_sync, tags
from services.customer_svc.usecases.must_see import must_see, note_reads

FIELD = "tags"
_HEAD = "BRANCH_HEAD"


async def get_tag(conn: AsyncConnection, viewer: Viewer, code: str) -> Tag:
    """A definition that is shared with the viewer's branch."""
    found = await tags.get_tag(conn, code, _shared_with(viewer))
    if found is None:
        raise not_found()
    return found


async def list_tags(conn: AsyncConnection, wanted: WantedTags, viewer: Viewer, after: str, limit: int) -> Sequence[Tag]:
    """The definitions that are shared with the viewer's branch, by code: a page, and one more if there is one."""
    return await tags.list_tags(conn, wanted, _shared_with(viewer), after, limit + 1)


async def check_sharing(tx: AsyncConnection, viewer: Viewer, branch_id: str | None) -> None:
    """Refuses to share a tag more widely than the viewer's own subtree, or his branch if it is a top one."""
    if _HEAD in viewer.roles:
        if branch_id is None and await owner_rows.is_top(tx, viewer.branch_id):
            return
        if branch_id is not None and branch_id in await org.subtree(tx, viewer.branch_id):
            return
    message = "you share tags within your own subtree only, and bank-wide only at a top branch"
    raise Refused(Kind.FORBIDDEN, "SHARING_FORBIDDEN", message)


async def create_tag(tx: AsyncConnection, viewer: Viewer, tag: Tag) -> Tag:
    """Makes a manual tag for the viewer's subtree or a branch in it; for the whole bank if his branch is a top one."""
    await check_sharing(tx, viewer, tag.branch_id)
    made = await tags.add_tag(tx, replace(tag, actor=viewer.staff_id))
    if made is None:
        message = f"there is a tag {tag.code} already"
        raise Refused(Kind.ALREADY_EXISTS, "TAG_TAKEN", message, {"tag": tag.code})
    return made


async def may_retire(tx: AsyncConnection, viewer: Viewer, code: str) -> None:
    """Refuses whoever could not have made this tag; a tag that is not shared with his branch as an absent one."""
    await check_sharing(tx, viewer, (await get_tag(tx, viewer, code)).branch_id)


async def retire_tag(tx: AsyncConnection, viewer: Viewer, code: str) -> Tag:
    """Retires a manual tag for good: nobody is given it any more."""
    tag = await get_tag(tx, viewer, code)
    if not tag.actor:
        raise Refused(Kind.PRECONDITION, "TAG_BUILT_IN", "tags that are built in are not retired", {"tag": code})
    await check_sharing(tx, viewer, tag.branch_id)
    return await tags.retire_tag(tx, code)


async def get_customer_tag(conn: AsyncConnection, reading: Reading, customer_id: str, code: str) -> CustomerTag:
    """One tag of a customer, with all that was said of it."""
    await must_see(conn, reading.viewer, customer_id, FIELD)
    found = await tags.of_customer(conn, customer_id, await customers.business_day(conn), code)
    if not found:
        raise not_found()
    await note_reads(conn, reading, [customer_id])
    return found[0]


async def list_customer_tags(
    conn: AsyncConnection, reading: Reading, customer_id: str, *, with_past: bool
) -> tuple[Sequence[CustomerTag], date]:
    """A customer's tags by code, those that he does not carry now only if asked for, and the day that they hold on."""
    await must_see(conn, reading.viewer, customer_id, FIELD)
    day = await customers.business_day(conn)
    found = await tags.of_customer(conn, customer_id, day)
    await note_reads(conn, reading, [customer_id])
    return [tag for tag in found if with_past or tag.is_live(day)], day


async def list_changes(
    conn: AsyncConnection, reading: Reading, asked: tuple[str, str], before: int, limit: int
) -> Sequence[TagChange]:
    """The changes of a customer's tags, or of one (`asked`), the youngest first: a page, and one more if there is."""
    customer_id, code = asked
    await must_see(conn, reading.viewer, customer_id, FIELD)
    await note_reads(conn, reading, [customer_id])
    return await tags.changes(conn, customer_id, code, before, limit + 1)


async def set_tag(tx: AsyncConnection, viewer: Viewer, change: HandChange) -> CustomerTag:
    """Sets a manual tag, or a potential one against the batch until an end date."""
    tag, day = await _begun(tx, viewer, change)
    if tag.retire_time is not None:
        raise Refused(Kind.PRECONDITION, "TAG_RETIRED", f"the tag {tag.code} is retired", {"tag": tag.code})
    if tag.kind is TagKind.POTENTIAL:
        await _override(tx, change, day, is_set=True)
    elif change.end_date is not None and change.end_date < day:
        raise invalid_field("end_date", "must not lie in the past")
    else:
        await tags.put_setting(tx, change)
    await _done(tx, change, "SET", day)
    return (await tags.of_customer(tx, change.customer_id, day, tag.code))[0]


async def remove_tag(tx: AsyncConnection, viewer: Viewer, change: HandChange) -> CustomerTag:
    """Removes a manual tag, or a potential one against the batch until an end date."""
    tag, day = await _begun(tx, viewer, change)
    if tag.kind is TagKind.POTENTIAL:
        await _override(tx, change, day, is_set=False)
        await _done(tx, change, "REMOVED", day)
        return (await tags.of_customer(tx, change.customer_id, day, tag.code))[0]
    if change.end_date is not None:
        raise invalid_field("end_date", "must be empty: a manual tag is removed for good")
    found = await tags.of_customer(tx, change.customer_id, day, tag.code)
    if not found or not found[0].is_live(day):
        message = "the customer does not carry this tag"
        raise Refused(Kind.PRECONDITION, "TAG_NOT_CARRIED", message, {"tag": tag.code})
    await tags.drop_setting(tx, change)
    await _done(tx, change, "REMOVED", day)
    return replace(found[0], setting=None)


async def clear_override(tx: AsyncConnection, viewer: Viewer, change: HandChange) -> CustomerTag:
    """Takes back what was said by hand against the batch: what the batch says holds again."""
    tag, day = await _begun(tx, viewer, change)
    found = await tags.of_customer(tx, change.customer_id, day, tag.code)
    if not found or found[0].override is None:
        message = "nothing was said by hand against the batch"
        raise Refused(Kind.PRECONDITION, "OVERRIDE_NONE", message, {"tag": tag.code})
    await tags.drop_override(tx, change)
    await _done(tx, change, "CLEARED", day)
    return replace(found[0], override=None)


async def _begun(tx: AsyncConnection, viewer: Viewer, change: HandChange) -> tuple[Tag, date]:
    """The tag and the business date, with the customer locked: nobody else changes what he carries meanwhile."""
    await must_see(tx, viewer, change.customer_id, FIELD)
    tag = await get_tag(tx, viewer, change.tag_code)
    await tag_sync.lock_customer(tx, change.customer_id)
    return tag, await customers.business_day(tx)


async def _override(tx: AsyncConnection, change: HandChange, day: date, *, is_set: bool) -> None:
    most = day + timedelta(days=(await tags.policy_on(tx, day)).override_days_max)
    if change.end_date is None or not day <= change.end_date <= most:
        raise invalid_field("end_date", f"must lie between {day.isoformat()} and {most.isoformat()}")
    await tags.put_override(tx, change, is_set=is_set)


async def _done(tx: AsyncConnection, change: HandChange, kind: str, day: date) -> None:
    await tags.add_change(tx, change, kind)
    await tag_sync.sync_one(tx, change.customer_id, day)


def _shared_with(viewer: Viewer) -> str | None:
    """The branch with which a definition must be shared; None for services, which see all."""
    return None if "SERVICE" in viewer.roles else viewer.branch_id
