"""The faults, one file a family. Each obeys one contract: `Fault`."""

from chaos.faults.contract import Fault, Missed
from chaos.faults.registry import KINDS, make

__all__ = ["KINDS", "Fault", "Missed", "make"]
