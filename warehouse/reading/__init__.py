"""Queries over all tiers: one name for each table, wherever its months are."""
