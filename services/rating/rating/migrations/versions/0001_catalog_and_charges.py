"""Tenants, plans, subscriptions, the projection of usage, and charges."""

from alembic import op

from common.stream.schema import kernel_tables
from common.usage import usage_tables

revision = "0001"
down_revision = None

SQL = """
CREATE TABLE rating.tenants (
    key          text        PRIMARY KEY,
    name         text        NOT NULL,
    currency     text        NOT NULL,
    timezone     text        NOT NULL,
    billing_day  integer     NOT NULL CHECK (billing_day BETWEEN 1 AND 31),
    email        text,
    address      jsonb       NOT NULL DEFAULT '[]',
    revision     bigint      NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX tenants_by_revision ON rating.tenants (revision);
COMMENT ON COLUMN rating.tenants.revision IS
    'grows with every change of the tenant or of a subscription of it; order of publication';

CREATE TABLE rating.plans (
    slug     text    PRIMARY KEY,
    version  integer NOT NULL
);
COMMENT ON COLUMN rating.plans.version IS 'the newest; 0 while the first is being written';

CREATE TABLE rating.plan_versions (
    plan        text        NOT NULL REFERENCES rating.plans,
    version     integer     NOT NULL,
    body        jsonb       NOT NULL,
    units       jsonb       NOT NULL DEFAULT '{}',
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (plan, version)
);
COMMENT ON COLUMN rating.plan_versions.body IS 'as its author wrote it';
COMMENT ON COLUMN rating.plan_versions.units IS 'units of its meters when it was published';

CREATE FUNCTION rating.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a published version of a plan never changes';
END
$$;
CREATE TRIGGER plan_versions_never_change
    BEFORE UPDATE OR DELETE ON rating.plan_versions
    FOR EACH ROW EXECUTE FUNCTION rating.refuse_change();

CREATE TABLE rating.subscriptions (
    id            text        PRIMARY KEY,
    tenant        text        NOT NULL REFERENCES rating.tenants,
    shard         integer     NOT NULL,
    plan          text        NOT NULL,
    plan_version  integer     NOT NULL,
    starts_at     timestamptz NOT NULL,
    ends_at       timestamptz,
    created_at    timestamptz NOT NULL DEFAULT now(),
    CHECK (ends_at > starts_at),
    FOREIGN KEY (plan, plan_version) REFERENCES rating.plan_versions
);
CREATE INDEX subscriptions_by_tenant ON rating.subscriptions (tenant, id);

CREATE TABLE rating.cuts (
    subscription  text        NOT NULL REFERENCES rating.subscriptions,
    at            timestamptz NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (subscription, at)
);

CREATE TABLE rating.dirty_subscriptions (
    id            bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subscription  text        NOT NULL,
    shard         integer     NOT NULL,
    since         timestamptz,
    until         timestamptz
) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE rating.dirty_subscriptions IS
    'to be rated again; only ever inserted and deleted, so that no mark is lost. '
    'since and until bound what changed; NULL: everything may have';

CREATE TABLE rating.schedule (
    subscription    text        PRIMARY KEY,
    shard           integer     NOT NULL,
    next_period_at  timestamptz NOT NULL
);
CREATE INDEX schedule_by_time ON rating.schedule (next_period_at);
COMMENT ON TABLE rating.schedule IS 'when the next period begins that has not been rated yet';

CREATE SEQUENCE rating.charge_versions;

CREATE TABLE rating.charges (
    id            text        PRIMARY KEY,
    shard         integer     NOT NULL,
    tenant        text        NOT NULL,
    subscription  text        NOT NULL,
    plan          text        NOT NULL,
    plan_name     text        NOT NULL,
    plan_version  integer     NOT NULL,
    price         text        NOT NULL,
    description   text        NOT NULL,
    meter         text,
    unit          text        NOT NULL,
    period_from   timestamptz NOT NULL,
    period_to     timestamptz NOT NULL,
    quantity      numeric     NOT NULL,
    amount        numeric     NOT NULL,
    currency      text        NOT NULL,
    version       bigint      NOT NULL,
    lines         jsonb       NOT NULL,
    evidence      jsonb       NOT NULL,
    closed        boolean     NOT NULL,
    withdrawn     boolean     NOT NULL,
    changed_at    timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 80);
CREATE INDEX charges_by_tenant ON rating.charges (tenant, period_from, id);
CREATE INDEX charges_by_subscription ON rating.charges (subscription);
CREATE INDEX charges_by_version ON rating.charges (version);
CREATE INDEX charges_open ON rating.charges (period_to) WHERE NOT closed;
COMMENT ON COLUMN rating.charges.amount IS
    'at most 18 decimals (rating.exact); not NUMERIC(38,18), because usage has no largest value';

CREATE TABLE rating.emissions (
    partition  integer PRIMARY KEY,
    version    bigint  NOT NULL
);
COMMENT ON TABLE rating.emissions IS
    'charges up to this version have been emitted and acknowledged, by partition of usage.rollups';
"""


def upgrade() -> None:
    op.execute(kernel_tables("rating"))
    op.execute(usage_tables("rating"))
    op.execute(SQL)
