"""Inspecting a container from outside: files, changes, processes, ports, HTTP, commands executed in it."""
