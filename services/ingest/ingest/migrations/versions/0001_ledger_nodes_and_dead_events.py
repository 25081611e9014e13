"""The ledger, the nodes' sequences, dead events, and the accounting."""

from alembic import op

from common.stream.schema import kernel_tables

revision = "0001"
down_revision = None

SQL = """
CREATE TABLE ingest.ledger (
    day               integer NOT NULL,
    identity          bytea   NOT NULL,
    digest            bytea   NOT NULL,
    origin_partition  integer NOT NULL,
    origin_offset     bigint  NOT NULL,
    origin_index      integer NOT NULL,
    PRIMARY KEY (day, identity)
);
COMMENT ON TABLE ingest.ledger IS 'The first copy of each event: where it stands in usage.received';
COMMENT ON COLUMN ingest.ledger.day IS 'UTC days since 1970-01-01 of the time of the event';

CREATE TABLE ingest.node_progress (
    node                text   NOT NULL,
    epoch               text   NOT NULL,
    next_seq            bigint NOT NULL,
    gaps                jsonb  NOT NULL,
    sealed_through_ms   bigint,
    sealed_received_ms  bigint,
    last_seen_ms        bigint NOT NULL,
    PRIMARY KEY (node, epoch)
);

CREATE TABLE ingest.node_batches (
    node              text    NOT NULL,
    epoch             text    NOT NULL,
    first_seq         bigint  NOT NULL,
    last_seq          bigint  NOT NULL,
    digests           bytea   NOT NULL,
    origin_partition  integer NOT NULL,
    origin_offset     bigint  NOT NULL,
    received_day      integer NOT NULL,
    PRIMARY KEY (node, epoch, first_seq)
);
COMMENT ON TABLE ingest.node_batches IS
    'Runs of sequence numbers taken for the first time, which never overlap';
CREATE INDEX node_batches_origin ON ingest.node_batches (origin_partition, origin_offset);
CREATE INDEX node_batches_day ON ingest.node_batches (received_day);

CREATE TABLE ingest.dead_events (
    id                bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    origin_partition  integer     NOT NULL,
    origin_offset     bigint      NOT NULL,
    place             integer     NOT NULL,
    state             text        NOT NULL DEFAULT 'open',
    code              text        NOT NULL,
    message           text        NOT NULL,
    source            text,
    event_id          text,
    identity          bytea,
    node              text,
    epoch             text,
    seq               bigint,
    raw               bytea       NOT NULL,
    truncated         boolean     NOT NULL,
    received_at       timestamptz NOT NULL,
    changed_at        timestamptz NOT NULL DEFAULT now(),
    UNIQUE (origin_partition, origin_offset, place),
    CHECK (state IN ('open', 'replaying', 'replayed', 'duplicate', 'discarded'))
);
CREATE INDEX dead_events_identity ON ingest.dead_events (identity);
CREATE INDEX dead_events_source ON ingest.dead_events (source, id);
CREATE INDEX dead_events_code ON ingest.dead_events (code, id);

CREATE TABLE ingest.accounting (
    partition   integer PRIMARY KEY,
    received    bigint  NOT NULL,
    counted     bigint  NOT NULL,
    duplicates  bigint  NOT NULL,
    parked      bigint  NOT NULL,
    CHECK (received = counted + duplicates + parked)
) WITH (fillfactor = 50);
COMMENT ON TABLE ingest.accounting IS 'What became of the elements below next_offset';
"""


def upgrade() -> None:
    """Create the tables of the schema."""
    op.execute(kernel_tables("ingest"))
    op.execute(SQL)


def downgrade() -> None:
    """Nothing goes back: the ledger is what makes usage exact."""
    raise NotImplementedError("restore a backup instead")
