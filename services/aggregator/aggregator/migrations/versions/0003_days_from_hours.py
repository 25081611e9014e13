"""An hour enters its day when it is over, not with every step: a third of what steps wrote.

`folded` says of each hour whether its day holds it. Those of before are held. A column of days
changes its name, so that a worker from before, which would add every event to its day at once,
fails instead.
"""

from alembic import op

revision = "0003"
down_revision = "0002"

SQL = """
ALTER TABLE aggregator.hours ADD COLUMN folded boolean NOT NULL DEFAULT true;
ALTER TABLE aggregator.hours ALTER COLUMN folded SET DEFAULT false;
CREATE INDEX hours_not_folded ON aggregator.hours (series, bucket) WHERE NOT folded;
ALTER TABLE aggregator.days RENAME COLUMN version TO folded_version;
COMMENT ON COLUMN aggregator.hours.folded IS
    'Whether the row of its day in aggregator.days holds it: each hour is counted in one of them';
"""


def upgrade() -> None:
    op.execute(SQL)


def downgrade() -> None:
    raise NotImplementedError("restore a backup")
