"""What `mydocker test` does where an engine runs the parts of the batch on other machines."""
