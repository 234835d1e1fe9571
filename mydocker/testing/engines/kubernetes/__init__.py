"""Parts of a batch as Jobs of Kubernetes, by the program kubectl: its configuration says which cluster and as whom."""
