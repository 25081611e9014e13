"""Takes usage on an edge node, spools it durably, ships it and enforces decisions locally."""
