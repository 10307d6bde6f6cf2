"""The schema, step by step; a released step never changes."""
