"""Methods whose ids share rows by a hash or by their remainder."""
