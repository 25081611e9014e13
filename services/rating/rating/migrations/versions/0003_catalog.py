"""The catalog has revisions: one for each time that plans were published together."""

from alembic import op

revision = "0003"
down_revision = "0002"

SQL = """
CREATE TABLE rating.catalog_revisions (
    revision    bigint      PRIMARY KEY,
    applied_at  timestamptz NOT NULL DEFAULT now(),
    actor       text        NOT NULL DEFAULT '',
    reason      text        NOT NULL DEFAULT '',
    plans       jsonb       NOT NULL
);
COMMENT ON TABLE rating.catalog_revisions IS
    'the newest is the state of the catalog; plans: the versions that it published, by slug';
"""


def upgrade() -> None:
    op.execute(SQL)
