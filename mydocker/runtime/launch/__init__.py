"""From a plan to an end: clone, build the tree, give up privileges, execute, supervise, clean up."""
