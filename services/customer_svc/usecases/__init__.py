"""What happens on a verb of customer_svc: read, decide, store."""
