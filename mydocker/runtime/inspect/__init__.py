"""Looking into a container from outside: files, changes, processes, ports, HTTP, commands executed in it."""
