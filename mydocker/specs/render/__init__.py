"""A ContainerSpec as other text: normal form, `docker run` line, help, JSON Schema, reference."""
