"""The statement of a trial: decides twice over the same customers, and keeps where the two differ.

Both decisions are the night's own. Compared are not the trial and what is stored but the two decisions, since facts may
have come that no night has looked at yet; what they change is no doing of the parameters.
"""

from sqlalchemy import Date, Integer, Text, bindparam, text

from services.assignment_svc.store.decision_source import Source
from services.assignment_svc.store.decision_sql import decision

_PARAMETERS = ("grace_days", "run_off_days", "challenge_percent", "return_months", "protection_idle_days")
_EVERYBODY = (
    "(SELECT DISTINCT customer_id FROM branch_facts WHERE customer_id > :after AND customer_id <= :until OFFSET 0)"
)
# What a decided row says, by its name in `owner`, and how the decision calls it as it is and as it should be.
_ROW = {
    "side": ("old_side", "new_side"),
    "rule": ("old_rule", "new_rule"),
    "manager_id": ("old_manager_id", "new_manager_id"),
    "named_manager_id": ("old_named_id", "new_named_id"),
    "basis": ("old_basis", "new_basis"),
    "amount_minor": ("old_amount", "new_amount"),
    "rival_branch_id": ("old_rival_id", "new_rival_id"),
    "rival_amount_minor": ("old_rival_amount", "new_rival_amount"),
    "held_by_margin": ("old_by_margin", "new_by_margin"),
    "due_date": ("old_row_due_date", "new_due_date"),
}
_DATES = """
  CASE WHEN change = 'SAME' OR fate = 'LAST' OR (new_side = old_side AND NOT forgotten) THEN old_since_date
    ELSE :day END AS since_date,
  CASE WHEN change = 'SAME' THEN old_from_date ELSE :day END AS from_date"""


def _column(name: str, old: str, new: str) -> str:
    """A row keeps what it says if nothing is decided otherwise; a last one only loses its due date."""
    last = "NULL" if name == "due_date" else old
    return f"CASE WHEN change = 'SAME' THEN {old} WHEN fate = 'LAST' THEN {last} ELSE {new} END AS {name}"


def _decided(prefix: str) -> str:
    """The rows as they would be under the parameters of a prefix."""
    columns = ",\n  ".join(_column(name, old, new) for name, (old, new) in _ROW.items())
    decided = decision(Source(_EVERYBODY))
    for name in _PARAMETERS:
        decided = decided.replace(f":{name}", f":{prefix}_{name}")
    return f"""
WITH{decided}
SELECT customer_id, branch_id,
  {columns},{_DATES}
FROM settled WHERE change <> 'ENDED' AND NOT (change = 'SAME' AND old_side IS NULL)"""  # noqa: S608 -- our own words


_COMPARED = ("side", "rule", "manager_id", "basis", "held_by_margin", "due_date")
_KEPT = [*_ROW, "since_date", "from_date"]


def _listed(alias: str, names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(f"{alias}.{name}" for name in names)


DECIDE = text(
    f"""
WITH now_rows AS MATERIALIZED ({_decided("now")}
),
then_rows AS MATERIALIZED ({_decided("then")}
),
differing AS MATERIALIZED (
  SELECT customer_id, branch_id, n.side AS n_side, t.side AS t_side,
    {", ".join(f"n.{name} AS old_{name}, t.{name} AS new_{name}" for name in _KEPT)}
  FROM now_rows n FULL JOIN then_rows t USING (customer_id, branch_id)
  WHERE ({_listed("n", _COMPARED)}) IS DISTINCT FROM ({_listed("t", _COMPARED)})
),
kept AS (
  INSERT INTO policy_trial_row (trial_id, customer_id, branch_id, change,
    {", ".join(f"old_{name}, new_{name}" for name in _KEPT)})
  SELECT :trial_id, customer_id, branch_id,
    CASE WHEN n_side IS NULL THEN 'MADE' WHEN t_side IS NULL THEN 'ENDED' ELSE 'CHANGED' END,
    {", ".join(f"old_{name}, new_{name}" for name in _KEPT)}
  FROM differing ORDER BY customer_id, branch_id
)
SELECT (SELECT count(*) FROM {_EVERYBODY} e) AS customer_count,
  (SELECT count(DISTINCT customer_id) FROM differing) AS changed_customer_count"""  # noqa: S608 -- our own words
).bindparams(
    bindparam("day", type_=Date),
    bindparam("after", type_=Text),
    bindparam("until", type_=Text),
    bindparam("trial_id", type_=Text),
    *(bindparam(f"{prefix}_{name}", type_=Integer) for prefix in ("now", "then") for name in _PARAMETERS),
)

# The ranges of ids of a trial.
BOUNDS = text(
    """
SELECT customer_id, total FROM (
  SELECT customer_id, row_number() OVER (ORDER BY customer_id) AS number, count(*) OVER () AS total
  FROM (SELECT DISTINCT customer_id FROM branch_facts) c
) c WHERE number % :size = 0 OR number = total ORDER BY customer_id"""
)
