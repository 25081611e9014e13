"""Rules, the projection of usage and tenants, decisions and their log."""

from alembic import op

from common.stream.schema import kernel_tables
from common.usage import usage_tables

revision = "0001"
down_revision = None

SQL = """
CREATE TABLE throttler.rule_versions (
    slug        text        NOT NULL,
    version     integer     NOT NULL,
    body        jsonb,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (slug, version)
);
COMMENT ON COLUMN throttler.rule_versions.body IS 'NULL: this version deletes the rule';

CREATE TABLE throttler.tenants (
    key       text   PRIMARY KEY,
    revision  bigint NOT NULL,
    body      jsonb  NOT NULL
);

CREATE TABLE throttler.dirty_tenants (
    tenant     text        PRIMARY KEY,
    shard      integer     NOT NULL,
    marked_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE throttler.tenant_states (
    tenant              text    PRIMARY KEY,
    shard               integer NOT NULL,
    next_evaluation_at  timestamptz,
    held                jsonb   NOT NULL DEFAULT '[]'
);
CREATE INDEX tenant_states_due ON throttler.tenant_states (next_evaluation_at);

CREATE TABLE throttler.decisions (
    tenant    text   NOT NULL,
    action    text   NOT NULL,
    revision  bigint NOT NULL UNIQUE,
    body      jsonb  NOT NULL,
    PRIMARY KEY (tenant, action)
);

CREATE TABLE throttler.decision_log (
    revision      bigint PRIMARY KEY,
    tenant        text NOT NULL,
    action        text NOT NULL,
    state         text NOT NULL CHECK (state IN ('allow', 'throttle', 'deny')),
    status        integer NOT NULL,
    rule          text,
    rule_version  integer,
    meter         text,
    usage         numeric,
    "limit"       numeric,
    window_end    timestamptz,
    reason        text NOT NULL,
    as_of         timestamptz,
    decided_at    timestamptz NOT NULL
);
CREATE INDEX decision_log_tenant ON throttler.decision_log (tenant, revision);

CREATE FUNCTION throttler.refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%.% is append only', TG_TABLE_SCHEMA, TG_TABLE_NAME;
END
$$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON throttler.decision_log
    FOR EACH STATEMENT EXECUTE FUNCTION throttler.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON throttler.rule_versions
    FOR EACH STATEMENT EXECUTE FUNCTION throttler.refuse_change();
"""


def upgrade() -> None:
    op.execute(kernel_tables("throttler"))
    op.execute(usage_tables("throttler"))
    op.execute(SQL)
