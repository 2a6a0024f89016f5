"""The command line `memcom`."""
