"""Every SQL statement of ingest, one file a subject."""
