"""What other services know: little is asked for, since facts come in bulk."""
