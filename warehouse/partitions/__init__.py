"""Partitions kept ahead of time: facts about live tables, plans as data, and what carries a plan out."""
