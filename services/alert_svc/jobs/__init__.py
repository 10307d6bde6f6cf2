"""What alert_svc does without being asked: it follows others."""
