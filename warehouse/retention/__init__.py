"""Rows that reached their retention go from every tier, but for legal holds; and are shown to be gone."""
