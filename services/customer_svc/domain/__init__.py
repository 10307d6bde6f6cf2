"""What the bank decides about customers: who sees what of them, and which of them a query may reach."""
