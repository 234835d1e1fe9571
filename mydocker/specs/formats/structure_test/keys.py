"""The keys at the top of a container-structure-test file, which identify such a file."""

from __future__ import annotations

MARK = "schemaVersion"
STRUCTURE_KEYS = (
    MARK,
    "globalEnvVars",
    "commandTests",
    "fileExistenceTests",
    "fileContentTests",
    "metadataTest",
    "licenseTests",
    "containerRunOptions",
)
