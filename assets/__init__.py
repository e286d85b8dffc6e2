"""Dagster assets and checks, made from the catalog by one factory per verb. Thin: the work is in ``warehouse``."""
