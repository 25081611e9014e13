"""The log between the stages: a small protocol with two back ends, Kafka and memory."""

from common.bus.types import Bus, BusError, Message, Reader, Record

__all__ = ["Bus", "BusError", "Message", "Reader", "Record"]
