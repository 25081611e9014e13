"""What modifies a price around its model, each in a module, applied in one order by rate.py."""
