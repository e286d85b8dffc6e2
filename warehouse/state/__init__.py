"""The platform's own tables in the warehouse, and the one door through which rows enter the raw schemas."""
