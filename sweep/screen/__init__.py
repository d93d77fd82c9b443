"""What the user sees on the terminal while a sweep runs."""
