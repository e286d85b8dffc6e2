"""The cold tier: Delta tables of Parquet files on ``file://`` or ``s3://``."""
