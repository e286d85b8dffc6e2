"""Upkeep of a table of a thousand partitions, with nothing to do and with fifty to create, while others work on it."""
