"""What the bank decides about ownership, organisation and sessions: frozen values and pure functions."""
