"""What a deployment with docker-compose needs besides the program."""
