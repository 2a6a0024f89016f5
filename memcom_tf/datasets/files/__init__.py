"""Columns of files: delimited text, Parquet and .npz, read once and typed."""
