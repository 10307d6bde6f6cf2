"""Which tables of campaign_svc pass from one customer to another (domain.md 3, merging duplicates)."""

from chassis.sql.merging import MergedTable

# Who said no at one of two ids said no; of two alike the later one tells how and when. No word is no statement.
_STRICTER = "((t.state = 'WITHDRAWN')::int, t.state_time) > ((o.state = 'WITHDRAWN')::int, o.state_time)"
STRICTER_CONSENT = {
    name: f"CASE WHEN {_STRICTER} THEN t.{name} ELSE o.{name} END"
    for name in ("state", "state_time", "version", "proof")
}
FIRST_OPT_OUT = {"opt_out_time": "least(o.opt_out_time, t.opt_out_time)"}

CONTACTS = MergedTable("contacts", ("contact_id",))
CONSENTS = MergedTable("consents", ("channel", "category"), combine=STRICTER_CONSENT)
OPT_OUTS = MergedTable("opt_outs", ("channel", "category"), combine=FIRST_OPT_OUT)
TABLES = (CONTACTS, CONSENTS, OPT_OUTS, MergedTable("tasks", ("task_id",)))
