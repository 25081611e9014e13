"""The load: events with known truth, by every way into the system."""
