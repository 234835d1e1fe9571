"""Devices that the CDI files of a host describe."""
