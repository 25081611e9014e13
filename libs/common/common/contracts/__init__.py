"""What crosses the bus: one module a topic, each with its struct, its key and its version."""
