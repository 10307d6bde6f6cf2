"""What assignment_svc knows and customer_svc needs."""
