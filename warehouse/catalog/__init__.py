"""One policy for every table, read from ``sources/<system>.yaml``.

The catalog knows nothing of databases: no psycopg, no Arrow, no Delta. What it says is compared with
live databases elsewhere (``warehouse.postgres``).
"""

from warehouse.catalog.loader import load_catalog
from warehouse.catalog.model import Catalog, System, Table

__all__ = ["Catalog", "System", "Table", "load_catalog"]
