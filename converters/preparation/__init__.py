"""A model, checked and taken apart: what is written, and what it is compared with."""
