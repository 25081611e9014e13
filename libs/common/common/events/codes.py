"""Why an event was parked: every reason code, with its meaning for the operator."""

from typing import Final

REASONS: Final[dict[str, str]] = {
    "invalid_json": "The element is not JSON: bad syntax, bad UTF-8, NaN, or a lone surrogate.",
    "too_deep": "Arrays and objects are nested deeper than 64 levels.",
    "duplicate_key": "An object names the same key twice, so its meaning is not certain.",
    "invalid_number": "A number has more digits, or a larger exponent, than a decimal can hold.",
    "not_an_object": "The element is not a JSON object.",
    "missing_field": "One of id, source, type, subject is absent.",
    "invalid_field": "id, source, type or subject is not a string of 1 to 256 characters, "
    "or holds control characters.",
    "unsupported_specversion": 'specversion is present and is not "1.0".',
    "invalid_time": "time is not an RFC 3339 date-time with an offset and at most 9 decimals.",
    "too_old": "time lies more than 35 days back.",
    "in_future": "time lies more than 5 minutes ahead.",
    "event_too_large": "The event is longer than 1 MiB; only its beginning is kept.",
    "identity_conflict": "An event with this source, id and day was counted with other content.",
    "sequence_conflict": "The node sent this sequence number before, with other content.",
    "too_many_gaps": "The node has more open sequence gaps than are tracked.",
    "unreadable_envelope": "A record of usage.received could not be read.",
}
