"""`tollgate topics apply`: the topics, as the contracts say."""

import asyncio
from typing import Annotated

import typer

from common.bus.admin import apply_topics
from common.bus.types import BusError
from common.contracts.topics import ALL_TOPICS, DEFAULT_PARTITIONS
from tollgate.cli.output import Json, print_json, print_table
from tollgate.errors import TollgateError

cli = typer.Typer(help="Topics of the bus.", no_args_is_help=True)


@cli.command()
def apply(
    kafka: Annotated[
        str, typer.Option(envvar="TOLLGATE_KAFKA", help="Bootstrap servers.")
    ] = "127.0.0.1:9092",
    prefix: Annotated[
        str, typer.Option(envvar="TOLLGATE_TOPIC_PREFIX", help="Before every name.")
    ] = "",
    partitions: Annotated[
        int, typer.Option(help="Of topics made now; a power of two.")
    ] = DEFAULT_PARTITIONS,
    replication: Annotated[int, typer.Option(help="Copies; 3 in production.")] = 1,
    as_json: Json = False,
) -> None:
    """Create the topics that do not exist; existing ones are left alone."""
    try:
        created = set(
            asyncio.run(
                apply_topics(kafka, prefix=prefix, partitions=partitions, replication=replication)
            )
        )
    except BusError as error:
        raise TollgateError(str(error)) from None
    rows = []
    for topic in ALL_TOPICS:
        name = prefix + topic.name
        kept = "the last of each key" if topic.compacted else f"{topic.retention_hours} h"
        rows.append((name, topic.key, kept, "created" if name in created else "exists"))
    if as_json:
        print_json({"items": [{"topic": row[0], "result": row[3]} for row in rows]})
    else:
        print_table("topics", ["topic", "key", "kept", "result"], rows)
