"""The file: its members, its description, and the process that runs it."""
