"""Alembic's entry: everything is in common.migrations."""

from common.migrations import run_env

run_env()
