"""What customer_svc remembers: all of its SQL."""

from pathlib import Path

MIGRATIONS = Path(__file__).parent / "migrations"
