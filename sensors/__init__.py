"""Sensors: what the platform watches for."""
