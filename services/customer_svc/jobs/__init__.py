"""What customer_svc does without being asked."""
