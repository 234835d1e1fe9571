"""Other forms of what commands print than a table or JSON."""
