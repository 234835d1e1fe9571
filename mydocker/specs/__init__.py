"""Words become a complete ContainerSpec: the option table, YAML files, the positional form of `run`."""
