"""Writes docs/reference from where settings, metrics and error codes are declared."""
