"""What is kept here of one person, to be told or erased (domain.md 12)."""

from chassis.personal_data import Part
from chassis.sql.personal_data import PersonalTable

TABLES = (
    PersonalTable("transactions", Part.RECORDS),
    PersonalTable("alerts", Part.RECORDS, leaves_out=("rev",)),
    PersonalTable("merge_rows", Part.RECORDS),
    # Ids only; a transaction under an old one must find its way to where it is refused.
    PersonalTable("merged_customers", None, owners=("customer_id", "survivor_id")),
    # Followed of other services, which tell them, and go as those do.
    PersonalTable("customers", None, told=False),
    PersonalTable("accounts", None, told=False),
    PersonalTable("owners", None, told=False),
)
