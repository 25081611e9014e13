"""Brings the servers and the services up on one machine."""
