"""A link passes bytes, and can be cut, silent, deaf and slow."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from chaos.link import Link, Mode


class Echo:
    """Answers each piece with itself, and remembers what arrived."""

    def __init__(self) -> None:
        self.heard = b""
        self.arrived = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1024):
            self.heard += data
            self.arrived.set()
            writer.write(data)
            await writer.drain()
        writer.close()


@pytest.fixture
async def echo() -> AsyncIterator[tuple[Echo, Link]]:
    """A server, and an open link to it."""
    server = Echo()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    link = Link("test", [listening.sockets[0].getsockname()[1]])
    await link.open()
    yield server, link
    await link.close()
    listening.close()


async def connect(link: Link) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", link.port)


async def ends(reader: asyncio.StreamReader) -> bool:
    """Whether the connection is over, by its end or by a reset."""
    try:
        return await asyncio.wait_for(reader.read(1), 5) == b""
    except ConnectionError:
        return True


async def test_bytes_pass_both_ways(echo: tuple[Echo, Link]) -> None:
    _, link = echo
    reader, writer = await connect(link)
    writer.write(b"hello")
    assert await reader.readexactly(5) == b"hello"
    writer.close()


async def test_the_end_of_one_side_reaches_the_other(echo: tuple[Echo, Link]) -> None:
    _, link = echo
    reader, writer = await connect(link)
    writer.write(b"bye")
    writer.write_eof()
    assert await reader.read() == b"bye"


async def test_a_cut_link_resets_what_is_open_and_what_comes(echo: tuple[Echo, Link]) -> None:
    _, link = echo
    reader, writer = await connect(link)
    writer.write(b"x")
    await reader.readexactly(1)
    link.set("cut")
    assert await ends(reader)
    reader, _ = await connect(link)
    assert await ends(reader)
    link.set("open")
    reader, writer = await connect(link)
    writer.write(b"y")
    assert await reader.readexactly(1) == b"y"


@pytest.mark.parametrize(("mode", "arrives"), [("silent", False), ("deaf", True)])
async def test_lost_bytes_stay_lost_and_end_the_connection(
    echo: tuple[Echo, Link], mode: Mode, arrives: bool
) -> None:
    server, link = echo
    reader, writer = await connect(link)
    writer.write(b"x")
    await reader.readexactly(1)
    server.arrived.clear()
    link.set(mode)
    writer.write(b"question")
    if arrives:
        await asyncio.wait_for(server.arrived.wait(), 5)
        assert server.heard == b"xquestion"
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.2)
    link.set("open")
    assert await ends(reader)
    assert (server.heard == b"xquestion") is arrives


async def test_connections_go_to_a_target_that_answers(echo: tuple[Echo, Link]) -> None:
    _, link = echo
    both = Link("both", [1, *link._targets])
    await both.open()
    for _ in range(2):
        reader, writer = await connect(both)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        writer.close()
    await both.close()
