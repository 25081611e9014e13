"""The kernel: exactly once without Kafka transactions. README.md beside this file explains it."""

from common.stream.position import OffsetGap, Position
from common.stream.processor import Partition, Processor, Stage
from common.stream.progress import Fenced, PostgresProgress
from common.stream.schema import kernel_tables

__all__ = [
    "Fenced",
    "OffsetGap",
    "Partition",
    "Position",
    "PostgresProgress",
    "Processor",
    "Stage",
    "kernel_tables",
]
