"""The wire of campaign_svc."""
