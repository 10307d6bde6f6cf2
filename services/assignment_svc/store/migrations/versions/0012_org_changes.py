"""Lets people change branches and staff, and keeps every change."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_TABLES = (
    # What the feed last told of a row: a column that people changed stays until the feed tells another value of it.
    "ALTER TABLE branch ADD COLUMN source jsonb",
    "ALTER TABLE staff ADD COLUMN source jsonb, ADD COLUMN password_once boolean NOT NULL DEFAULT false",
    # Roles that an outside identity leaves of those that the staff member has; NULL leaves all.
    "ALTER TABLE session ADD COLUMN role_limit text[]",
    "CREATE INDEX session_staff ON session (staff_id) WHERE NOT ended",
    """
CREATE TABLE branch_period (
  branch_id text COLLATE "C" NOT NULL,
  period_id bigint GENERATED ALWAYS AS IDENTITY,
  from_date date NOT NULL,
  until_date date,
  display_name text NOT NULL,
  parent_id text COLLATE "C",
  legal_entity text,
  PRIMARY KEY (branch_id, period_id),
  CONSTRAINT branch_period_days CHECK (from_date <= until_date)
)""",
    "CREATE UNIQUE INDEX branch_period_open ON branch_period (branch_id) WHERE until_date IS NULL",
    """
CREATE TABLE planned_org_change (
  plan_id text COLLATE "C" PRIMARY KEY,
  subject text NOT NULL,
  subject_id text COLLATE "C" NOT NULL,
  changes jsonb NOT NULL,
  effective_date date NOT NULL,
  state text NOT NULL DEFAULT 'PENDING',
  reason text NOT NULL,
  actor text NOT NULL,
  create_time timestamptz NOT NULL DEFAULT bank_now(),
  end_time timestamptz,
  failure text,
  CONSTRAINT planned_org_change_state CHECK (state IN ('PENDING', 'APPLIED', 'WITHDRAWN', 'FAILED')),
  CONSTRAINT planned_org_change_subject CHECK (subject IN ('BRANCH', 'STAFF'))
)""",
    "CREATE INDEX planned_org_change_day ON planned_org_change (effective_date, plan_id)",
    """
CREATE TABLE org_change_entry (
  entry_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  create_time timestamptz NOT NULL DEFAULT bank_now(),
  actor text NOT NULL,
  method text NOT NULL,
  request_id text NOT NULL,
  reason text NOT NULL,
  subject text NOT NULL,
  subject_id text COLLATE "C" NOT NULL,
  action text NOT NULL,
  before jsonb NOT NULL,
  after jsonb NOT NULL
)""",
    "CREATE INDEX org_change_entry_subject ON org_change_entry (subject_id, entry_id)",
    "CREATE INDEX org_change_entry_actor ON org_change_entry (actor, entry_id)",
    """
CREATE TABLE staff_leave (
  leave_id text COLLATE "C" PRIMARY KEY,
  staff_id text COLLATE "C" NOT NULL,
  branch_id text COLLATE "C" NOT NULL,
  kind text NOT NULL,
  from_date date NOT NULL,
  until_date date NOT NULL,
  substitute_id text COLLATE "C",
  note text NOT NULL,
  state text NOT NULL DEFAULT 'REQUESTED',
  creator text NOT NULL,
  create_time timestamptz NOT NULL DEFAULT bank_now(),
  decider text,
  decide_time timestamptz,
  decide_reason text,
  CONSTRAINT staff_leave_days CHECK (from_date <= until_date),
  CONSTRAINT staff_leave_state CHECK (state IN ('REQUESTED', 'APPROVED', 'CANCELLED'))
)""",
    "CREATE INDEX staff_leave_staff ON staff_leave (staff_id, from_date)",
    "CREATE INDEX staff_leave_branch ON staff_leave (branch_id, from_date, leave_id)",
    """
CREATE TABLE staff_relation (
  customer_id text COLLATE "C" NOT NULL,
  staff_id text COLLATE "C" NOT NULL,
  kind text NOT NULL,
  actor text NOT NULL,
  declare_time timestamptz NOT NULL DEFAULT bank_now(),
  PRIMARY KEY (customer_id, staff_id)
)""",
    "CREATE INDEX staff_relation_staff ON staff_relation (staff_id, customer_id)",
    """
CREATE TABLE oidc_mapping (
  mapping_id text COLLATE "C" PRIMARY KEY,
  issuer text NOT NULL,
  subject text NOT NULL,
  staff_id text COLLATE "C" NOT NULL,
  actor text NOT NULL,
  create_time timestamptz NOT NULL DEFAULT bank_now(),
  CONSTRAINT oidc_mapping_subject UNIQUE (issuer, subject),
  CONSTRAINT oidc_mapping_staff UNIQUE (staff_id, issuer)
)""",
    # Id tokens that signed somebody in, until they expire by themselves.
    """
CREATE TABLE oidc_token (
  token_hash bytea PRIMARY KEY,
  expire_time timestamptz NOT NULL
)""",
    "CREATE INDEX oidc_token_expire_time ON oidc_token (expire_time)",
)
# All that is there came by the feed.
_FILLED = (
    """
UPDATE branch SET source = jsonb_strip_nulls(jsonb_build_object('display_name', display_name, 'parent_id', parent_id,
  'legal_entity', legal_entity, 'open_date', open_date, 'close_date', close_date))""",
    """
UPDATE staff SET source = jsonb_strip_nulls(jsonb_build_object('display_name', display_name, 'branch_id', branch_id,
  'roles', array_to_string(roles, ';'), 'login', login,
  'password_hash', encode(sha256(convert_to(password_hash, 'UTF8')), 'hex'),
  'active_from_date', active_from_date, 'active_until_date', active_until_date, 'successor_id', successor_id))""",
    """
INSERT INTO branch_period (branch_id, from_date, display_name, parent_id, legal_entity)
SELECT branch_id, coalesce(open_date, '0001-01-01'), display_name, parent_id, legal_entity FROM branch""",
)
# Triggers, so that no writer can forget: the feed, people and hands at the database alike. Who acts, and why, the
# writer tells by settings of his transaction.
_FUNCTIONS = (
    """
CREATE FUNCTION keep_branch_period() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  day date := coalesce(nullif(current_setting('banyan.org_date', true), '')::date,
    (bank_now() AT TIME ZONE 'Asia/Shanghai')::date);
  begun date;
BEGIN
  IF TG_OP = 'UPDATE' AND (OLD.display_name, OLD.parent_id, OLD.legal_entity)
      IS NOT DISTINCT FROM (NEW.display_name, NEW.parent_id, NEW.legal_entity) THEN
    RETURN NULL;
  END IF;
  UPDATE branch_period SET until_date = greatest(from_date, day)
  WHERE branch_id = NEW.branch_id AND until_date IS NULL RETURNING until_date INTO begun;
  INSERT INTO branch_period (branch_id, from_date, display_name, parent_id, legal_entity)
  VALUES (NEW.branch_id, coalesce(begun, NEW.open_date, '0001-01-01'), NEW.display_name, NEW.parent_id,
    NEW.legal_entity);
  RETURN NULL;
END $$""",
    """
CREATE FUNCTION log_org_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  -- Nobody changes the log, and customers are erased: whose relative is who is the audit's to keep.
  hidden text[] := '{rev,update_time,source,customer_id}';
  was jsonb := '{}';
  becomes jsonb := '{}';
  key_value text;
BEGIN
  IF TG_OP <> 'INSERT' THEN
    was := jsonb_strip_nulls(to_jsonb(OLD) - hidden);
    key_value := was ->> TG_ARGV[1];
  END IF;
  IF TG_OP <> 'DELETE' THEN
    becomes := jsonb_strip_nulls(to_jsonb(NEW) - hidden);
    key_value := becomes ->> TG_ARGV[1];
  END IF;
  IF TG_OP = 'UPDATE' THEN
    SELECT coalesce(jsonb_object_agg(key, was -> key) FILTER (WHERE was ? key), '{}'),
      coalesce(jsonb_object_agg(key, becomes -> key) FILTER (WHERE becomes ? key), '{}')
    INTO was, becomes
    FROM jsonb_object_keys(was || becomes) AS key WHERE was -> key IS DISTINCT FROM becomes -> key;
    IF was = '{}' AND becomes = '{}' THEN
      RETURN NULL;
    END IF;
  END IF;
  IF was ? 'password_hash' THEN
    was := was - 'password_hash' || '{"password": "set"}';
  END IF;
  IF becomes ? 'password_hash' THEN
    becomes := becomes - 'password_hash' || '{"password": "set"}';
  END IF;
  INSERT INTO org_change_entry (actor, method, request_id, reason, subject, subject_id, action, before, after)
  VALUES (
    coalesce(nullif(current_setting('banyan.org_actor', true), ''), 'database/' || session_user),
    coalesce(current_setting('banyan.org_method', true), ''),
    coalesce(current_setting('banyan.org_request_id', true), ''),
    coalesce(current_setting('banyan.org_reason', true), ''),
    TG_ARGV[0], key_value,
    CASE TG_OP WHEN 'INSERT' THEN 'CREATED' WHEN 'UPDATE' THEN 'CHANGED' ELSE 'REMOVED' END, was, becomes);
  RETURN NULL;
END $$""",
    """
CREATE TRIGGER branch_period_kept AFTER INSERT OR UPDATE ON branch
FOR EACH ROW EXECUTE FUNCTION keep_branch_period()""",
)
_LOGGED = (
    ("branch", "BRANCH", "branch_id"),
    ("staff", "STAFF", "staff_id"),
    ("staff_leave", "LEAVE", "leave_id"),
    ("planned_org_change", "PLANNED_ORG_CHANGE", "plan_id"),
    ("staff_relation", "STAFF_RELATION", "staff_id"),
    ("oidc_mapping", "OIDC_MAPPING", "mapping_id"),
)


def upgrade() -> None:
    """Adds everything, and takes what is there for the feed's."""
    for statement in (*_TABLES, *_FILLED, *_FUNCTIONS):
        op.execute(statement)
    for table, subject, key in _LOGGED:
        op.execute(
            f"CREATE TRIGGER {table}_logged AFTER INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW"
            f" EXECUTE FUNCTION log_org_change('{subject}', '{key}')"
        )
    for event, each in (("UPDATE OR DELETE", "ROW"), ("TRUNCATE", "STATEMENT")):
        op.execute(
            f"CREATE TRIGGER org_change_entry_keep_{each.lower()} BEFORE {event} ON org_change_entry"
            f" FOR EACH {each} EXECUTE FUNCTION refuse_change()"
        )
