"""What the commands that concern the services of a project share: up, down, compose, check, config and explain."""
