"""Benchmarks of the cold tier."""
