"""Engines that run the parts of a batch on other machines, and the whole that comes back as files of results."""
