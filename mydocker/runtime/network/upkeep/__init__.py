"""What commands inspect and change of networks while containers are in them, from outside of the runs."""
