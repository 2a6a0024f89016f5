"""Every figure that the project publishes is the output of a command in here."""
