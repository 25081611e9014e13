"""The API but for the two hot routes, which are in front.py."""

from fastapi import APIRouter

from ingest.routes import accounting, dead_events, events, nodes

ROUTERS: list[APIRouter] = [events.router, dead_events.router, nodes.router, accounting.router]
