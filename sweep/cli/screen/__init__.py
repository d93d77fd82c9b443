"""What the user sees on the terminal while a sweep runs, and how figures are written."""
