"""What happens when a contact is recorded or asked for."""
