"""What a container shares with another one that runs, besides the network."""
