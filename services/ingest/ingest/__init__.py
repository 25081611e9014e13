"""Accepts usage events and makes them exact."""
