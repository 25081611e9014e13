"""The pages of docs/reference, as text. A name that is declared in two rooms is listed once."""

import importlib
import importlib.util
import os
import socket
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from prometheus_client import Counter, Gauge, Histogram, Summary
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from reference.schema import catalog_schema

SERVICES = ("collector", "ingest", "aggregator", "rating", "invoicer", "throttler")
ROOMS = ("common", *SERVICES)
METRIC_KINDS = (Counter, Gauge, Histogram, Summary)


def pages() -> dict[str, str]:
    """Every page by its file name."""
    return {
        "settings.md": _settings(),
        "metrics.md": _metrics(),
        "errors.md": _errors(),
        "catalog.schema.json": catalog_schema(),
    }


def _modules(name: str) -> Iterator[tuple[str, ModuleType]]:
    for room in ROOMS:
        for path in (f"{room}.{name}", f"{room}.stream.{name}"):
            try:
                found = importlib.util.find_spec(path)
            except ModuleNotFoundError:
                continue
            if found is not None:
                yield room, importlib.import_module(path)


def _settings() -> str:
    lines = [
        "# Settings",
        "",
        "Environment variables of each process. The first list holds for every service.",
    ]
    seen: set[str] = set()
    for room, module in _modules("settings"):
        rows = []
        for kind in vars(module).values():
            if not (isinstance(kind, type) and issubclass(kind, BaseSettings)):
                continue
            if kind.__module__ != module.__name__:
                continue
            prefix = str(kind.model_config.get("env_prefix", ""))
            own = [n for n in kind.model_fields if n in kind.__annotations__]
            for name in own:
                variable = (prefix + name).upper()
                if room == "common":
                    seen.add(variable)
                field = kind.model_fields[name]
                rows.append(
                    f"| `{variable}` | {_default(field)} | {_cell(field.description or '')} |"
                )
        if rows:
            title = "Every service" if room == "common" else room.capitalize()
            lines += ["", f"## {title}", "", "| variable | default | meaning |", "|---|---|---|"]
            lines += rows
    return "\n".join(lines) + "\n"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value: Any = field.default
    if value is PydanticUndefined:
        assert field.default_factory is not None
        value = field.default_factory()  # type: ignore[call-arg]
        if isinstance(value, str) and socket.gethostname() in value and str(os.getpid()) in value:
            return "host and process id"
    if not value and value not in (0, False):
        return ""
    return f"`{value}`"


def _metrics() -> str:
    lines = ["# Metrics", "", "Prometheus metrics at `/metrics` of each process."]
    for room, module in _modules("metrics"):
        rows = []
        for metric in vars(module).values():
            if isinstance(metric, METRIC_KINDS):
                name = metric._name + ("_total" if isinstance(metric, Counter) else "")
                kind = type(metric).__name__.lower()
                labels = ", ".join(f"`{label}`" for label in metric._labelnames)
                text = f"| `{name}` | {kind} | {labels} | {_cell(metric._documentation)} |"
                rows.append(text)
        if rows:
            title = "Every stage" if room == "common" else room.capitalize()
            lines += ["", f"## {title}", "", "| metric | kind | labels | meaning |"]
            lines += ["|---|---|---|---|", *sorted(rows)]
    return "\n".join(lines) + "\n"


def _errors() -> str:
    from common.errors import CODES

    list(_modules("errors"))
    lines = [
        "# Error codes",
        "",
        "Errors are `application/problem+json` with a stable `code`. 503 carries `Retry-After`.",
        "",
        "| code | status | meaning |",
        "|---|---|---|",
    ]
    for code in sorted(CODES.values(), key=lambda code: (code.status, code.code)):
        lines.append(f"| `{code.code}` | {code.status} | {_cell(code.meaning)} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
