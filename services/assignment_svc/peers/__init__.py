"""What other services know. This one asks nobody: facts come in bulk."""
