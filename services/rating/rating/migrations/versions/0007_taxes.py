"""Which taxes a tenant is invoiced, and its VAT id."""

from alembic import op

revision = "0007"
down_revision = "0006"

SQL = """
ALTER TABLE rating.tenants
    ADD COLUMN vat_id text  NOT NULL DEFAULT '',
    ADD COLUMN taxes  jsonb NOT NULL DEFAULT '[]';
COMMENT ON COLUMN rating.tenants.taxes IS '[{name, percent, note, since}], on what is charged';
"""


def upgrade() -> None:
    op.execute(SQL)


def downgrade() -> None:
    raise NotImplementedError("restore a backup")
