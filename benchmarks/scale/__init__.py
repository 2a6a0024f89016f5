"""Time and memory from a log of a million items to the file."""
