"""What a contact is, and which may be recorded."""
