"""System call filters: the default profile, and the compiler from a profile to a BPF program."""
