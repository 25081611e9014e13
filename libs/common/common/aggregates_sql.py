"""What `common.aggregates` does, as SQL over rows with the columns of an aggregate."""

from typing import Final

VALUES: Final = "count, sum, min, max, latest, latest_at"

TOTALS: Final = """
    sum(count)::bigint AS count,
    sum(sum) AS sum,
    min(min) AS min,
    max(max) AS max,
    (array_agg(latest ORDER BY latest_at DESC, latest DESC)
        FILTER (WHERE latest IS NOT NULL))[1] AS latest,
    max(latest_at) FILTER (WHERE latest IS NOT NULL) AS latest_at"""
"""Columns that merge rows."""

ADDED: Final = """
    count = known.count + excluded.count,
    sum = coalesce(known.sum + excluded.sum, known.sum, excluded.sum),
    min = least(known.min, excluded.min),
    max = greatest(known.max, excluded.max),
    latest = CASE
        WHEN known.latest_at IS NULL
          OR (excluded.latest_at, excluded.latest) > (known.latest_at, known.latest)
        THEN excluded.latest
        ELSE known.latest
    END,
    latest_at = greatest(known.latest_at, excluded.latest_at)"""
"""What an upsert sets that merges a row into the one that is `known`."""
