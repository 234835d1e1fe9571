"""Files between the host and a container, as streams of tar: `mydocker cp`, `export`, and the layer of `commit`."""
