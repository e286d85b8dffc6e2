"""Erase a person from every store, by a plan that was sealed and approved."""
