"""CloudEvents as they come in: decoding of bodies and validation of each event.

Ingest and the collector take the same bodies and refuse the same events, because both use this
package. Pure: bytes and the time come in, values come out.
"""

from common.events.body import BodyError, WholeElements, decompress, elements
from common.events.bulk import validate_all
from common.events.codes import REASONS
from common.events.rfc3339 import parse_time_ms
from common.events.validate import Rejection, ValidEvent, validate

__all__ = [
    "REASONS",
    "BodyError",
    "Rejection",
    "ValidEvent",
    "WholeElements",
    "decompress",
    "elements",
    "parse_time_ms",
    "validate",
    "validate_all",
]
