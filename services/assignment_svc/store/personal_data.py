"""What is kept here of one person, to be told or erased (domain.md 12)."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.personal_data import Part
from chassis.sql.erased import remember_erased
from chassis.sql.personal_data import PersonalTable

_REV = ("rev",)
TABLES = (
    PersonalTable("branch_facts", Part.RECORDS, leaves_out=_REV),
    # The root stays as a tombstone, which the feed needs: an id and no more.
    PersonalTable("ownership", None, leaves_out=_REV),
    PersonalTable("owner", Part.RECORDS),
    PersonalTable("owner_period", Part.RECORDS),
    PersonalTable("ownership_hold", Part.RECORDS, leaves_out=_REV),
    PersonalTable("officer_override", Part.RECORDS, leaves_out=_REV),
    PersonalTable("row_protection", Part.RECORDS),
    PersonalTable("ownership_change", Part.RECORDS, leaves_out=("rev_after",)),
    PersonalTable("staff_relation", Part.RECORDS),
    PersonalTable("private_manager", Part.RECORDS),
    PersonalTable("private_manager_period", Part.RECORDS),
    PersonalTable("ownership_request", Part.RECORDS),
    PersonalTable("request_approval", Part.RECORDS),
    PersonalTable("request_transition", Part.RECORDS),
    # Where a visit was, and on which device it was taken down, tells of its author.
    PersonalTable(
        "visit",
        Part.RECORDS,
        leaves_out=("latitude", "longitude", "accuracy_m", "device_id", "client_visit_id", "sent_hash"),
    ),
    PersonalTable("visit_version", Part.RECORDS),
    PersonalTable("visit_duty", Part.RECORDS),
    PersonalTable("customer_locations", Part.CONTACT_DATA),
    PersonalTable("interception", Part.RECORDS),
    PersonalTable("balance_step", Part.RECORDS),
    PersonalTable("customer_month", Part.RECORDS),
    PersonalTable("credit", Part.RECORDS),
    PersonalTable("merge_rows", Part.RECORDS),
    PersonalTable("merge_notice", Part.RECORDS),
    # At which branch he stood before it was split: an id and no more.
    PersonalTable("customer_branch_alias", None),
    # Ids only; what a source still tells of an old one must find its way to where it is dropped.
    PersonalTable("merged_customers", None, owners=("customer_id", "survivor_id")),
    PersonalTable("policy_trial_row", Part.RECORDS),
    PersonalTable("erased_customers", None, told=False),
    # Whom an allocation that is under way, or the next one within the day, looks at.
    PersonalTable("changed_facts", None, told=False),
    PersonalTable("allocation_candidate", None, told=False),
)
_GONE = text("""
UPDATE ownership SET gone = true, due_date = NULL, rev = pg_current_xact_id(), update_time = bank_now()
WHERE customer_id = :customer_id AND NOT gone
""")


async def end_ownership(tx: AsyncConnection, customer_id: str, everything: bool) -> None:  # noqa: FBT001 -- as PersonalDataServicer calls it
    """If everything of a customer goes, tells the feed that nobody owns him, and takes nothing of him any more."""
    if everything:
        await remember_erased(tx, customer_id)
        await tx.execute(_GONE, {"customer_id": customer_id})
