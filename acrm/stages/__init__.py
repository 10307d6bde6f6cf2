"""The derivations of the batch: pure functions from tables of expressions to one, the same on every engine."""
