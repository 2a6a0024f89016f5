"""What every method gets for nothing."""
