"""What happens on a verb: read, decide, store; one function, one transaction (allocation of all: one per batch)."""
