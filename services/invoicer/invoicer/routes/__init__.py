"""The invoicer's HTTP API."""
