"""Meters, series, rollups by slot, hour and day, members, unreadable events, backfills.

The rollup tables become hypertables where TimescaleDB is loaded and stay plain tables elsewhere,
or where the database says so: ALTER DATABASE ... SET tollgate.hypertables = 'off'. Every statement
of the store works on both.
"""

from alembic import op

from common.stream.schema import kernel_tables

revision = "0001"
down_revision = None

SQL = """
CREATE TABLE aggregator.meters (
    slug         text   PRIMARY KEY,
    event_type   text   NOT NULL,
    aggregation  text   NOT NULL,
    value        text,
    group_by     jsonb  NOT NULL,
    unit         text   NOT NULL,
    revision     bigint NOT NULL UNIQUE
);

CREATE TABLE aggregator.series (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    identity   bytea  NOT NULL UNIQUE,
    meter      text   NOT NULL,
    tenant     text   COLLATE "C" NOT NULL,
    dimensions jsonb  NOT NULL
);
CREATE INDEX series_by_tenant ON aggregator.series (meter, tenant);
COMMENT ON COLUMN aggregator.series.identity IS
    'Hash of tenant, meter and group: an index on the texts would outgrow its entry size';

CREATE TABLE aggregator.shards (
    shard            integer PRIMARY KEY,
    version          bigint  NOT NULL,
    emitted_version  bigint  NOT NULL
) WITH (fillfactor = 50);
COMMENT ON TABLE aggregator.shards IS
    'By partition of usage.events: the version of its last change, and the last one published';

CREATE TABLE aggregator.backfills (
    id           bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shard        integer NOT NULL,
    from_offset  bigint  NOT NULL,
    position     bigint  NOT NULL DEFAULT 0,
    seen         jsonb   NOT NULL DEFAULT '{}',
    done         boolean NOT NULL DEFAULT false
);
CREATE INDEX backfills_open ON aggregator.backfills (shard) WHERE NOT done;
COMMENT ON TABLE aggregator.backfills IS
    'Folds what Kafka still holds of [beginning, from_offset) into the meters that begin there';

CREATE TABLE aggregator.meter_starts (
    meter        text    NOT NULL,
    shard        integer NOT NULL,
    from_offset  bigint  NOT NULL,
    backfill     bigint  NOT NULL REFERENCES aggregator.backfills,
    PRIMARY KEY (meter, shard)
);
COMMENT ON TABLE aggregator.meter_starts IS
    'From which offset of its shard a meter is folded live';

CREATE TABLE aggregator.unreadable (
    id        bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    meter     text        NOT NULL,
    tenant    text        NOT NULL,
    source    text        NOT NULL,
    event_id  text        NOT NULL,
    at        timestamptz NOT NULL,
    reason    text        NOT NULL,
    found     text        NOT NULL,
    shard     integer     NOT NULL,
    record    bigint      NOT NULL,
    item      integer     NOT NULL,
    noted_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX unreadable_by_meter ON aggregator.unreadable (meter, id);
CREATE INDEX unreadable_by_age ON aggregator.unreadable (noted_at);
"""

ROLLUP = """
CREATE TABLE aggregator.{table} (
    series     bigint      NOT NULL,
    bucket     timestamptz NOT NULL,
    shard      integer     NOT NULL,
    count      bigint      NOT NULL,
    sum        numeric,
    min        numeric,
    max        numeric,
    latest     numeric,
    latest_at  timestamptz,
    version    bigint      NOT NULL,
    PRIMARY KEY (series, bucket, shard)
) WITH (fillfactor = 70);
"""

MEMBERS = """
CREATE TABLE aggregator.members (
    series   bigint      NOT NULL,
    bucket   timestamptz NOT NULL,
    shard    integer     NOT NULL,
    member   bytea       NOT NULL,
    version  bigint      NOT NULL,
    PRIMARY KEY (series, bucket, shard, member)
);
COMMENT ON TABLE aggregator.members IS 'Distinct values of unique_count meters, hashed, by slot';

CREATE INDEX hours_to_publish ON aggregator.hours (shard, version);
CREATE INDEX members_to_publish ON aggregator.members (shard, version);
"""

CHUNKS = {"slots": "1 day", "members": "1 day", "hours": "30 days", "days": "365 days"}

HYPERTABLES = """
DO $body$
BEGIN
    IF current_setting('tollgate.hypertables', true) = 'off' THEN
        RETURN;
    END IF;
    IF pg_has_role(current_user, 'pg_read_all_settings', 'USAGE') THEN
        IF current_setting('shared_preload_libraries', true) LIKE '%timescaledb%' THEN
            CREATE EXTENSION IF NOT EXISTS timescaledb;
        END IF;
    END IF;
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb') THEN
        {calls}
    END IF;
END
$body$;
"""

FORGET = """
CREATE FUNCTION aggregator.forget_slots(before timestamptz) RETURNS void
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    relation text;
    hyper    text;
BEGIN
    SELECT n.nspname INTO hyper
    FROM pg_extension e
    JOIN pg_namespace n ON n.oid = e.extnamespace
    WHERE e.extname = 'timescaledb';
    FOREACH relation IN ARRAY ARRAY['slots', 'members'] LOOP
        IF hyper IS NULL THEN
            EXECUTE format('DELETE FROM aggregator.%I WHERE bucket < $1', relation) USING before;
        ELSE
            EXECUTE format('SELECT %I.drop_chunks(%L::regclass, $1)', hyper,
                           'aggregator.' || relation) USING before;
        END IF;
    END LOOP;
END
$body$;
COMMENT ON FUNCTION aggregator.forget_slots IS
    'Retention of the finest buckets: whole chunks, which only their owner may drop';
"""


def upgrade() -> None:
    op.execute(kernel_tables("aggregator"))
    op.execute(SQL)
    for table in ("slots", "hours", "days"):
        op.execute(ROLLUP.format(table=table))
    op.execute(MEMBERS)
    calls = "\n        ".join(
        f"PERFORM create_hypertable('aggregator.{table}', by_range('bucket', INTERVAL '{width}'),"
        " create_default_indexes => false);"
        for table, width in CHUNKS.items()
    )
    op.execute(HYPERTABLES.format(calls=calls))
    op.execute(FORGET)


def downgrade() -> None:
    raise NotImplementedError("restore a backup: a rollup cannot be unmade")
