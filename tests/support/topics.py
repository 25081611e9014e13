"""Clearing away a test's topics."""

import contextlib

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient


def delete_topics(bootstrap: str, prefix: str) -> None:
    """Deletes the topics whose names begin with `prefix`; a broker that is away is no error."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    with contextlib.suppress(KafkaException):
        names = [name for name in admin.list_topics(timeout=10).topics if name.startswith(prefix)]
        if names:
            for deleted in admin.delete_topics(names, operation_timeout=10).values():
                deleted.result()
