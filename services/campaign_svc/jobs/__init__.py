"""What campaign_svc does without being asked: it follows others."""
