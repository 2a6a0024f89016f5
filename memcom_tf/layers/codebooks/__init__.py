"""Methods whose ids have codes, which choose rows of books."""
