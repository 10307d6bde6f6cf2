"""When a day's money is worth an alert, and which transactions are taken at all."""
