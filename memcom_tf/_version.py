"""The version of memcom_tf."""

__version__ = "0.1.0"
