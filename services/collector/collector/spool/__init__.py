"""The durable spool of an edge node: SQLite behind one writer thread."""
