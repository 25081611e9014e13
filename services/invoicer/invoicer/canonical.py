"""The bytes of an invoice and the chain of their hashes. Pure.

The canonical form is JSON with sorted keys, no blanks, UTF-8, decimals as strings and times in
RFC 3339 UTC. It contains the hash of the invoice before it in the same legal entity and series,
so that no finalised invoice can be changed, removed or put in between unseen.
"""

from hashlib import sha256
from typing import Final

import msgspec

from invoicer.invoice import Invoice

GENESIS: Final = "0" * 64
"""The `previous_hash` of the first invoice of a series."""

_encoder = msgspec.json.Encoder(order="sorted", decimal_format="string")


def canonical(invoice: Invoice) -> bytes:
    """The canonical JSON: equal invoices give equal bytes."""
    return _encoder.encode(invoice)


def content_hash(document: bytes) -> str:
    """SHA-256 of a canonical document, in hex."""
    return sha256(document).hexdigest()


def parse(document: bytes | str) -> Invoice:
    """The invoice of a canonical document, of any version."""
    said = msgspec.json.decode(document)
    if said["v"] == 1:
        said["payable"] = said["total"]
    return msgspec.convert(said, Invoice)
