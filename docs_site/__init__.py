"""The manual as a site: its pages are files of the repository, taken from where they are."""
