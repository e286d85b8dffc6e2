"""A multi-vendor shop: schema, generated rows, and the loader of real orders."""
