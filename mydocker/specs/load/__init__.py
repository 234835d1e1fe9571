"""Spec files become ContainerSpecs: files, keys and their types, `extends`, `include`, profiles."""
