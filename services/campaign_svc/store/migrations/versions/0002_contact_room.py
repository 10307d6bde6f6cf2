"""Adds what room for contacts is made of besides contacts: consents, opt-outs and the contact policy (domain.md 8)."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# The root of the feed: a row for each customer of whom anything is known.
_TABLES = """
CREATE TABLE contact_rooms (
    customer_id text PRIMARY KEY,
    gone boolean NOT NULL DEFAULT false,
    rev xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX contact_rooms_rev ON contact_rooms (rev, customer_id);
CREATE TABLE consents (
    customer_id text NOT NULL,
    channel text NOT NULL,
    category text NOT NULL,
    state text NOT NULL,
    state_time timestamptz NOT NULL,
    version text,
    proof text,
    PRIMARY KEY (customer_id, channel, category)
);
CREATE TABLE opt_outs (
    customer_id text NOT NULL,
    channel text NOT NULL,
    category text NOT NULL,
    opt_out_time timestamptz NOT NULL,
    PRIMARY KEY (customer_id, channel, category)
);
CREATE TABLE contact_policies (
    version integer PRIMARY KEY,
    start_time timestamptz NOT NULL,
    consent_required boolean NOT NULL,
    caps jsonb NOT NULL,
    rev xid8 NOT NULL DEFAULT pg_current_xact_id()
);
INSERT INTO contact_rooms (customer_id) SELECT DISTINCT customer_id FROM contacts
"""
# The caps that domain.md 8 gives as defaults. A length of NULL is the calendar day of bank time.
_FIRST_POLICY = """
WITH windows (channel, days, most) AS (VALUES
  ('SMS', NULL, 1), ('SMS', 7, 2), ('SMS', 30, 4), ('SMS', 91, 7), ('SMS', 365, 24),
  ('CALL', 7, 1), ('CALL', 30, 2), ('PUSH', NULL, 1), ('PUSH', 30, 8)
), counted (rule, most, days, channels, message_class, per, what) AS (
  SELECT per || '_' || channel || '_' || coalesce(days || 'D', 'DAY'), most, days, ARRAY[channel], 'MARKETING', per,
    'CONTACTS'
  FROM windows CROSS JOIN (VALUES ('PERSON'), ('NUMBER')) AS of_whom (per)
  WHERE per = 'PERSON' OR channel IN ('SMS', 'CALL')
  UNION ALL
  SELECT rule, most, days, ARRAY['CALL', 'MAIL', 'PUSH', 'SMS', 'WECHAT'], message_class, 'PERSON', what
  FROM (VALUES
    ('PERSON_ALL_7D', 3, 7, 'MARKETING', 'CONTACTS'),
    ('PERSON_ALL_30D', 8, 30, 'MARKETING', 'CONTACTS'),
    ('CONTACTS_OF_CAMPAIGN', 3, NULL, 'MARKETING', 'CONTACTS_OF_CAMPAIGN'),
    ('CAMPAIGNS_AT_ONCE', 3, NULL, 'MARKETING', 'CAMPAIGNS_AT_ONCE'),
    ('CAMPAIGNS_365D', 20, 365, 'MARKETING', 'CAMPAIGN_ENTRIES'),
    ('RELATIONSHIP_30D', 1, 30, 'RELATIONSHIP', 'CONTACTS'),
    ('RELATIONSHIP_365D', 6, 365, 'RELATIONSHIP', 'CONTACTS')
  ) AS over_all (rule, most, days, message_class, what)
)
INSERT INTO contact_policies (version, start_time, consent_required, caps)
SELECT 1, timestamptz '2000-01-01 00:00:00+08', false, jsonb_agg(jsonb_build_object(
  'rule_id', rule, 'limit', most, 'length_seconds', days * 86400, 'channels', channels,
  'message_classes', ARRAY[message_class], 'category', NULL, 'per', per, 'counted', what) ORDER BY rule)
FROM counted
"""


def upgrade() -> None:
    """Creates the tables and the first version of the policy."""
    for statement in _TABLES.split(";\n"):
        op.execute(statement)
    op.execute(_FIRST_POLICY)
