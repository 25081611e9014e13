"""Closes periods, issues and renders invoices."""
