"""The nightly batch: checks the feed, derives facts and figures from it, and hands all of it to the services."""
