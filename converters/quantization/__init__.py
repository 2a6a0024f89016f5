"""Tables as they ship: folded, in integers, and what that takes from them."""
