"""What the service remembers: all of its SQL, and nothing else's."""

from pathlib import Path

MIGRATIONS = Path(__file__).parent / "migrations"
