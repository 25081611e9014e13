"""How much of the machine the servers may take: a laptop's share, or that of a machine under load.

Neither changes what is promised: commits reach the disk, appends wait for all replicas.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Tuning:
    """`jit_fully`: let the JVM optimise the broker fully, which starts slower and, warm, runs
    faster. `postgres`: settings of PostgreSQL that go before the stack's own."""

    jit_fully: bool = False
    postgres: Mapping[str, str] = field(default_factory=dict)


LAPTOP = Tuning()
LOAD = Tuning(
    jit_fully=True,
    postgres={"shared_buffers": "2GB", "max_wal_size": "8GB", "checkpoint_timeout": "15min"},
)
"""For measuring: servers that have warmed up and a database that fits into its memory."""
