"""An hour enters its day when it is over, not with every step that changes it."""

from alembic import op

from common.usage_days import folding

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.execute(folding("rating"))


def downgrade() -> None:
    raise NotImplementedError("restore a backup")
