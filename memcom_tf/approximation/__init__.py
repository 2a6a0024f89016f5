"""Tables in closed form: least squares, directions of groups, codebooks."""
