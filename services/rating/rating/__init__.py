"""Tenants, plans, prices and subscriptions; rates usage into charges."""
