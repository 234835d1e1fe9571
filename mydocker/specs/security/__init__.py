"""`security_opt`, and seccomp profiles as files."""
