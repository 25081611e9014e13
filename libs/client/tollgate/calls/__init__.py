"""Every operation of the services, as functions that make a `Call`. One file a service."""

from tollgate.calls import aggregator, ingest, invoicer, rating, throttler

__all__ = ["aggregator", "ingest", "invoicer", "rating", "throttler"]
