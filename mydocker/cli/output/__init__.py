"""What commands print and write other than a table or JSON: templates, and the reports of a batch."""
