"""Which rows a step changed, in a row a step, instead of an index on every version.

The index on (shard, version) changed with every update of `hours`: it doubled the cost of a row
and kept the update from staying in its page. Now a step lists what it changed, and what has been
published is taken off the list.
"""

from alembic import op

revision = "0002"
down_revision = "0001"

SQL = """
CREATE TABLE aggregator.unpublished (
    shard    integer       NOT NULL,
    version  bigint        NOT NULL,
    series   bigint[]      NOT NULL,
    hours    timestamptz[] NOT NULL,
    PRIMARY KEY (shard, version)
);
COMMENT ON TABLE aggregator.unpublished IS
    'What each step changed: (series[n], hours[n]); until the version has been published';

DROP INDEX aggregator.hours_to_publish;
DROP INDEX aggregator.members_to_publish;
"""


def upgrade() -> None:
    op.execute(SQL)


def downgrade() -> None:
    raise NotImplementedError("restore a backup")
