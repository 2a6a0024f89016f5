"""Prepared data sets."""
