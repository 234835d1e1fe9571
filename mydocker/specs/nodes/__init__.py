"""Text becomes nodes that know their position: YAML, unit files, values of Python programs."""
