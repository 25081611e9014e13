"""The packed ledger: blocks of sorted hashes, and which ledger this database is kept with."""

from alembic import op

revision = "0002"
down_revision = "0001"

SQL = """
CREATE TABLE ingest.ledger_kind (
    one   boolean PRIMARY KEY DEFAULT true CHECK (one),
    kind  text    NOT NULL CHECK (kind IN ('plain', 'packed'))
);
COMMENT ON TABLE ingest.ledger_kind IS
    'Which ledger the deduper keeps here. It never goes back from packed to plain';

-- Whoever still writes plain rows, a process of an older version or one that was frozen, must not
-- go on when the packed ledger has taken over: it would not see what that holds.
CREATE FUNCTION ingest.refuse_plain_rows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM ingest.ledger_kind WHERE kind = 'packed') THEN
        RAISE EXCEPTION 'this database is kept with the packed ledger'
            USING HINT = 'Set TOLLGATE_LEDGER=packed; stop dedupers of older versions.';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER ledger_refuse_plain_rows BEFORE INSERT ON ingest.ledger
    FOR EACH STATEMENT EXECUTE FUNCTION ingest.refuse_plain_rows();

CREATE TABLE ingest.ledger_groups (
    grp     smallint PRIMARY KEY,
    number  bigint NOT NULL,
    token   bigint NOT NULL,
    writer  xid8
) WITH (fillfactor = 50);
COMMENT ON TABLE ingest.ledger_groups IS
    'A group is the sources whose shard is grp modulo 16. Its row is the lock of its ledger';
COMMENT ON COLUMN ingest.ledger_groups.number IS 'Of the newest blocks: without holes, in order';
COMMENT ON COLUMN ingest.ledger_groups.token IS 'Random: tells histories apart';
INSERT INTO ingest.ledger_groups (grp, number, token)
SELECT grp, 0, 0
FROM generate_series(0, 15) AS grp;

CREATE TABLE ingest.ledger_blocks (
    grp             smallint NOT NULL,
    number          bigint   NOT NULL,
    part            integer  NOT NULL,
    day             integer  NOT NULL,
    token           bigint   NOT NULL,
    sorted_through  bigint,
    ids             integer  NOT NULL,
    first_hash      bytea    NOT NULL,
    last_hash       bytea    NOT NULL,
    hashes          bytea    NOT NULL,
    origins         bytea    NOT NULL,
    digests         bytea    NOT NULL,
    PRIMARY KEY (grp, number, part),
    CHECK (length(hashes) = 16 * ids),
    CHECK (length(origins) = 12 * ids),
    CHECK (length(digests) = 8 * ids)
);
COMMENT ON TABLE ingest.ledger_blocks IS
    'First copies of the events of a day: columns of what one step found fresh, sorted by hash';
COMMENT ON COLUMN ingest.ledger_blocks.sorted_through IS
    'Null: written by a step. Else the block is a range of the whole day up to this number';
COMMENT ON COLUMN ingest.ledger_blocks.origins IS
    'int64 offset, then uint32 partition * 2^24 + index, little-endian';
-- Hashes do not compress, and slices of them are read.
ALTER TABLE ingest.ledger_blocks
    ALTER hashes SET STORAGE EXTERNAL,
    ALTER origins SET STORAGE EXTERNAL,
    ALTER digests SET STORAGE EXTERNAL;
CREATE INDEX ledger_blocks_day ON ingest.ledger_blocks (day, grp, number);

CREATE TABLE ingest.ledger_sorted (
    grp      smallint NOT NULL,
    day      integer  NOT NULL,
    through  bigint   NOT NULL,
    PRIMARY KEY (grp, day)
);
COMMENT ON TABLE ingest.ledger_sorted IS
    'Days whose sorted blocks are complete: they replace the other blocks up to this number';
"""


def upgrade() -> None:
    """Add the packed ledger; plain rows stay, and are asked until they have aged out."""
    op.execute(SQL)


def downgrade() -> None:
    """Nothing goes back: the ledger is what makes usage exact."""
    raise NotImplementedError("restore a backup instead")
