"""Spec files become CaseSpecs: files, keys and their types, `extends`, `include`, profiles."""
