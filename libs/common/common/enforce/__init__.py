"""Enforcement at the edge, shared by the collector and the ASGI middleware. Pure."""

from common.enforce.book import Book, unix_ns
from common.enforce.gcra import Gcra
from common.enforce.verdict import ALLOWED, PROBLEM_MEDIA_TYPE, Verdict

__all__ = ["ALLOWED", "PROBLEM_MEDIA_TYPE", "Book", "Gcra", "Verdict", "unix_ns"]
