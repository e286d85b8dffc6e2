"""Change capture: what a source's log says, into the raw tables, each transaction exactly once."""

from warehouse.ingest.capture.run import Captured, TableCaptured, capture_changes, captured_tables, publication_of

__all__ = ["Captured", "TableCaptured", "capture_changes", "captured_tables", "publication_of"]
