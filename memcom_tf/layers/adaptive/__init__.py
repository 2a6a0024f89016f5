"""Methods whose tables change between the steps of training."""
