"""What is kept here of one person, to be told or erased (domain.md 12)."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.personal_data import Part
from chassis.sql.erased import remember_erased
from chassis.sql.personal_data import PersonalTable
from services.campaign_svc.store import contact_rooms

TABLES = (
    PersonalTable("tasks", Part.MARKETING),
    PersonalTable("consents", Part.MARKETING),
    # They prove that the caps were kept, so they stay as long as other records do.
    PersonalTable("contacts", Part.RECORDS),
    PersonalTable("merge_rows", Part.RECORDS),
    # Must not be forgotten, or he would be contacted again.
    PersonalTable("opt_outs", None),
    # Ids only; what a source still tells of an old one must find its way to where it is dropped.
    PersonalTable("merged_customers", None, owners=("customer_id", "survivor_id")),
    PersonalTable("erased_customers", None, told=False),
    # The root of a feed: no more than that there is something.
    PersonalTable("contact_rooms", None, told=False),
    # Followed of other services, which tell them, and go as those do.
    PersonalTable("customers", None, told=False),
    PersonalTable("owners", None, told=False),
)
_OPT_OUT = text("""
INSERT INTO opt_outs (customer_id, channel, category, opt_out_time)
VALUES (:customer_id, 'ALL', 'ALL', bank_now()) ON CONFLICT DO NOTHING
""")


async def suppress_contacts(tx: AsyncConnection, customer_id: str, everything: bool = False) -> None:  # noqa: FBT001, FBT002 -- as PersonalDataServicer calls it
    """Puts a customer down as not to be contacted on any channel, and tells the feed of it.

    If everything of him goes, nothing more is taken of him.
    """
    if everything:
        await remember_erased(tx, customer_id)
    await tx.execute(_OPT_OUT, {"customer_id": customer_id})
    await contact_rooms.touch(tx, [customer_id])
