"""Refreshing marts after changes, against a plain materialised view of the same definition."""
