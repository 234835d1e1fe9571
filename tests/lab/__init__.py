"""Real parts that the tests run against: images built in memory, a registry, a second user."""
