"""Methods whose table is a product of smaller ones."""
