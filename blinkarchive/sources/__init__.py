"""Where clips are found."""
