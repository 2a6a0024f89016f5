"""Methods that treat ids by where they are in an order of importance."""
