"""What is shown of files: reports, figures, comparisons, golden values."""
