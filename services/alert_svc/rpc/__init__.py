"""The wire of alert_svc."""
