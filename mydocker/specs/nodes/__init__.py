"""Text becomes nodes that know their place: YAML, unit files, values of Python programs."""
