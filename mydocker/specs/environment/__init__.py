"""Variables: files of them, `.env`, and `${NAME}` in text."""
