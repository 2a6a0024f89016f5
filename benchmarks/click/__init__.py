"""How well click models predict at which size, by method, data set and ratio."""
