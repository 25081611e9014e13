"""Logs as JSON lines and traces as OTLP.

An event is followed through the stages by `traceparent` (W3C Trace Context) in HTTP and in record
headers. Where many records meet in one step, the step's span links to theirs. Traces leave by
OTLP when OTEL_EXPORTER_OTLP_ENDPOINT is set; otherwise nothing is recorded.
"""

import logging
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import structlog
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, TraceFlags

LINKS_MAX = 64
"""A span links to at most this many others."""
TRACEPARENT = "traceparent"
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_tracer = trace.get_tracer("tollgate")


def setup(service: str, log_level: str = "INFO") -> None:
    """Logs to standard output as JSON, with trace ids; traces when an endpoint is configured."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_trace_id,
        structlog.processors.format_exc_info,
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.EventRenamer("message"),
            structlog.processors.JSONRenderer(),
        ],
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    logging.basicConfig(level=log_level, handlers=[handler], force=True)
    for noisy in ("aiokafka", "httpx", "httpcore", "alembic", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.contextvars.bind_contextvars(service=service)
    if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        provider = TracerProvider(resource=Resource.create({"service.name": service}))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        trace.set_tracer_provider(provider)


@contextmanager
def span(
    name: str,
    *,
    parent: str | None = None,
    links: Iterable[str] = (),
    kind: SpanKind = SpanKind.INTERNAL,
) -> Iterator[Span]:
    """A span. `parent` and `links` are traceparents; what is not one is passed over."""
    if not parent and isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        yield trace.INVALID_SPAN  # nothing is traced here, and there is nothing to pass on
        return
    context = None
    remote = parse_traceparent(parent) if parent else None
    if remote is not None:
        context = trace.set_span_in_context(trace.NonRecordingSpan(remote))
    found = []
    for link in links:
        linked = parse_traceparent(link)
        if linked is not None:
            found.append(Link(linked))
        if len(found) == LINKS_MAX:
            break
    with _tracer.start_as_current_span(name, context=context, links=found, kind=kind) as current:
        yield current


def traceparent() -> str | None:
    """The traceparent of the current span, or None when nothing is traced."""
    current = trace.get_current_span().get_span_context()
    if not current.is_valid:
        return None
    return f"00-{current.trace_id:032x}-{current.span_id:016x}-{current.trace_flags:02x}"


def traceparent_headers() -> tuple[tuple[str, bytes], ...]:
    """Record headers that carry the current span on."""
    value = traceparent()
    return ((TRACEPARENT, value.encode()),) if value else ()


def parse_traceparent(value: str | bytes) -> SpanContext | None:
    """The span that a traceparent names, or None when it is not well formed."""
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else value
    found = _TRACEPARENT.fullmatch(text)
    if found is None:
        return None
    trace_id, span_id, flags = (int(part, 16) for part in found.groups())
    context = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags))
    return context if context.is_valid else None


def _add_trace_id(
    _: object, __: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    current = trace.get_current_span().get_span_context()
    if current.is_valid:
        event["trace_id"] = f"{current.trace_id:032x}"
        event["span_id"] = f"{current.span_id:016x}"
    return event
