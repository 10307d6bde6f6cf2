"""What assignment_svc and customer_svc tell, as plain values."""
