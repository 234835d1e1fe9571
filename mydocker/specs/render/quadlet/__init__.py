"""CaseSpecs as Quadlet units."""
