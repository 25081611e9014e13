"""Calling the other services."""

import httpx

from common.settings import PeerSettings


def peer_client(settings: PeerSettings, *, timeout_seconds: float = 5) -> httpx.AsyncClient:
    """An HTTP client that shows this service's token."""
    token = settings.peer_token
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.AsyncClient(timeout=timeout_seconds, headers=headers)
