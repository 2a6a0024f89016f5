"""What the order of ids does to how well a compressed model ranks."""
