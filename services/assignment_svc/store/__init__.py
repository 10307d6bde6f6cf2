"""What the service remembers: all of its SQL, and nothing else's."""
