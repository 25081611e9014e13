"""Folds usage events into rollups and answers usage queries."""
