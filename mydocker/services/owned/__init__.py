"""Containers of a Python program, which end with it: what is done for one, in processes of mydocker's own."""
