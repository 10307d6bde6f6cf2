"""Pure functions by which more than one service decides. No I/O, no wire messages, no imports of ours."""
