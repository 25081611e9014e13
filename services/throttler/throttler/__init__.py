"""Evaluates rules on usage and publishes decisions to the edges."""
