"""Products, contacts and what was followed of other services, in PostgreSQL."""
