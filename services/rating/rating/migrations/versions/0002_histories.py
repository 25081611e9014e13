"""Subscriptions become histories of facts; charges say when they are due."""

from alembic import op

revision = "0002"
down_revision = "0001"

FACTS = """
CREATE TABLE rating.subscription_facts (
    subscription  text        NOT NULL REFERENCES rating.subscriptions,
    revision      integer     NOT NULL CHECK (revision > 0),
    kind          text        NOT NULL,
    at            timestamptz NOT NULL,
    body          jsonb       NOT NULL DEFAULT '{}',
    recorded_at   timestamptz NOT NULL DEFAULT now(),
    actor         text        NOT NULL DEFAULT '',
    reason        text        NOT NULL DEFAULT '',
    PRIMARY KEY (subscription, revision)
);
COMMENT ON TABLE rating.subscription_facts IS
    'what holds from an instant on; folded by instant and revision, only ever added';

CREATE FUNCTION rating.refuse_fact_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a fact of a subscription never changes: revoke it by another one';
END
$$;
CREATE TRIGGER subscription_facts_never_change
    BEFORE UPDATE OR DELETE ON rating.subscription_facts
    FOR EACH ROW EXECUTE FUNCTION rating.refuse_fact_change();

CREATE TABLE rating.subscription_plans (
    subscription  text        NOT NULL REFERENCES rating.subscriptions,
    tenant        text        NOT NULL,
    shard         integer     NOT NULL,
    plan          text        NOT NULL,
    plan_version  integer     NOT NULL,
    since         timestamptz NOT NULL,
    until         timestamptz,
    CHECK (until > since),
    PRIMARY KEY (subscription, since),
    FOREIGN KEY (plan, plan_version) REFERENCES rating.plan_versions
);
COMMENT ON TABLE rating.subscription_plans IS
    'folded from the facts with every one of them: which plan holds when, pauses included';
CREATE INDEX subscription_plans_by_tenant ON rating.subscription_plans (tenant);
CREATE INDEX subscription_plans_by_plan ON rating.subscription_plans (plan, plan_version);
"""

MOVED = """
INSERT INTO rating.subscription_facts (subscription, revision, kind, at, body, recorded_at)
SELECT id, 1, 'start', starts_at,
       jsonb_build_object('plan', plan, 'version', plan_version), created_at
FROM rating.subscriptions;

INSERT INTO rating.subscription_facts (subscription, revision, kind, at, recorded_at)
SELECT subscription, 1 + row_number() OVER (PARTITION BY subscription ORDER BY at, kind), kind, at,
       recorded_at
FROM (
    SELECT subscription, 'cut' AS kind, at, created_at AS recorded_at
    FROM rating.cuts
    UNION ALL
    SELECT id, 'end', ends_at, now()
    FROM rating.subscriptions
    WHERE ends_at IS NOT NULL) AS moved;

INSERT INTO rating.subscription_plans
    (subscription, tenant, shard, plan, plan_version, since, until)
SELECT id, tenant, shard, plan, plan_version, starts_at, ends_at
FROM rating.subscriptions;

DROP TABLE rating.cuts;
ALTER TABLE rating.subscriptions
    DROP COLUMN plan,
    DROP COLUMN plan_version;
"""

CHARGES = """
ALTER TABLE rating.charges
    ADD COLUMN kind text NOT NULL DEFAULT '',
    ADD COLUMN due_at timestamptz;
UPDATE rating.charges
SET kind = CASE WHEN meter IS NULL THEN 'fee' ELSE 'usage' END,
    due_at = period_to;
ALTER TABLE rating.charges ALTER COLUMN due_at SET NOT NULL;
DROP INDEX rating.charges_open;
CREATE INDEX charges_open ON rating.charges (due_at) WHERE NOT closed;
COMMENT ON COLUMN rating.charges.due_at IS 'from when it may be invoiced';
"""


def upgrade() -> None:
    for statement in (FACTS, MOVED, CHARGES):
        op.execute(statement)
