"""How the wire speaks to customer_svc: servicers, and the one translator."""
