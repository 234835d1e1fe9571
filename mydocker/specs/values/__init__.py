"""Text becomes one value: durations, sizes, users, ports, signals and so on."""
