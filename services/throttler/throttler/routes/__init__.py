"""The throttler's HTTP API."""
