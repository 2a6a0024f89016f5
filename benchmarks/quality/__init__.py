"""How well models rank at which size, by method, data set and ratio."""
