"""Ingestion: from an operational database into the raw schema, exactly, under one snapshot per system."""

from warehouse.ingest.apply import TableResult, ingest_table
from warehouse.ingest.scope import Months
from warehouse.ingest.snapshot import SourceSnapshot, open_snapshot

__all__ = ["Months", "SourceSnapshot", "TableResult", "ingest_table", "open_snapshot"]
