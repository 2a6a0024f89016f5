"""The proof: what a file stores and what it computes are held against the model."""

from .result import Check, Verification
from .verification import verify, verify_content

__all__ = ["Check", "Verification", "verify", "verify_content"]
