"""From paths to cases: collected, selected, and recorded from a run."""
