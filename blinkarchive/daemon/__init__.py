"""What runs day and night: when a source is due, and who is told when something is wrong."""
