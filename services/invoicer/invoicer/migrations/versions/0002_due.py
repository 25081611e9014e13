"""Charges that are due before their period ends; lines of commitments and credits."""

from alembic import op

revision = "0002"
down_revision = "0001"

SQL = """
ALTER TABLE invoicer.charges ADD COLUMN due_at timestamptz;
UPDATE invoicer.charges SET due_at = period_to;
ALTER TABLE invoicer.charges ALTER COLUMN due_at SET NOT NULL;
COMMENT ON COLUMN invoicer.charges.due_at IS
    'from when it may be invoiced: the end of its period, its begin for what is paid in advance';

DROP INDEX invoicer.charges_pending;
CREATE INDEX charges_pending ON invoicer.charges (tenant, currency, due_at)
    WHERE invoiced_version IS NULL OR version > invoiced_version;

ALTER TABLE invoicer.invoice_lines DROP CONSTRAINT invoice_lines_kind_check;
ALTER TABLE invoicer.invoice_lines ADD CONSTRAINT invoice_lines_kind_check
    CHECK (kind IN ('fee', 'usage', 'adjustment', 'commitment', 'credit'));
"""


def upgrade() -> None:
    op.execute(SQL)
