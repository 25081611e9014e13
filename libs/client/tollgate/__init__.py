"""Python SDK of Tollgate."""
