"""CaseSpecs as a Compose file."""
