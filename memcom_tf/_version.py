"""The version of memcom_tf."""

__version__ = "0.2.0"
