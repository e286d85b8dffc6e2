"""Rider-based delivery in India: schema, generated rows, and the loader of real deliveries."""
