"""An index of the small blocks of the packed ledger, which compaction counts."""

from alembic import op

revision = "0003"
down_revision = "0002"

SQL = """
CREATE INDEX ledger_blocks_small ON ingest.ledger_blocks (grp, day)
WHERE sorted_through IS NULL AND ids < 1024;
"""


def upgrade() -> None:
    """Add the index."""
    op.execute(SQL)


def downgrade() -> None:
    """Nothing goes back: the ledger is what makes usage exact."""
    raise NotImplementedError("restore a backup instead")
