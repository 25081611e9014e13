"""The HTTP API: parse, ask the domain and the store, answer."""
