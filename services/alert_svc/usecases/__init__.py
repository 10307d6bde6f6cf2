"""What happens when transactions arrive and when alerts are asked for."""
