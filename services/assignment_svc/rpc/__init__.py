"""How the wire speaks: servicers, and the only translator between wire and inside."""
