"""What preparing a log takes, and training from what was prepared."""
