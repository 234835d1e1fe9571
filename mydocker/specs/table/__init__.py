"""The one table of fields, and what is made from it: the command line, a complete ContainerSpec."""
