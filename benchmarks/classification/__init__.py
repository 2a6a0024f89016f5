"""Accuracy of text classifiers against the bytes of their files."""
