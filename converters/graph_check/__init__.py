"""What a graph may hold that somebody else may have written, before a runtime sees it."""
