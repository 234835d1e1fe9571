"""What several commands share: messages, the parser, progress, tables, the result file."""
