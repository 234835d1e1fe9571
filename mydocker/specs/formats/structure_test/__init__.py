"""Files of container-structure-test: each test becomes a document."""
