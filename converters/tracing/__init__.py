"""The graph of a model over the tables that ship."""
