"""Every SQL statement of the aggregator, one module a subject; all in the schema `aggregator`."""

SCHEMA = "aggregator"
