"""Usage by day beside usage by hour: a month is added up from 30 rows instead of 720."""

from alembic import op

from common.usage_days import day_table

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute(day_table("rating"))
