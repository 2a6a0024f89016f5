"""Every method of the registry at equal bytes of the file that ships."""
