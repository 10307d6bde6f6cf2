"""How a service remembers: one engine, the tables that every service has, COPY, bulk import, audit."""
