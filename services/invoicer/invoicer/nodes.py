"""Asks ingest which edge nodes there are and what they have sealed."""

import httpx
import msgspec

from invoicer.completeness import Node, NodesUnknown

PAGES_MAX = 1_000


class _Page(msgspec.Struct):
    items: list[Node]
    next: str | None = None


async def ask_nodes(http: httpx.AsyncClient, ingest_url: str) -> list[Node] | NodesUnknown:
    """Every node, or why they are not known. Does not raise for anything that ingest does."""
    found: list[Node] = []
    cursor: str | None = None
    try:
        for _ in range(PAGES_MAX):
            params = {"limit": "1000"} | ({"cursor": cursor} if cursor else {})
            answer = await http.get(f"{ingest_url}/v1/nodes", params=params)
            if answer.status_code != httpx.codes.OK:
                return NodesUnknown(f"ingest answered {answer.status_code} to GET /v1/nodes")
            page = msgspec.json.decode(answer.content, type=_Page)
            found += page.items
            cursor = page.next
            if cursor is None:
                return found
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return NodesUnknown(f"ingest cannot be asked: {type(error).__name__}")
    except msgspec.MsgspecError as error:
        return NodesUnknown(f"ingest's list of nodes cannot be read: {error}")
    return NodesUnknown(f"ingest's list of nodes does not end within {PAGES_MAX} pages")
