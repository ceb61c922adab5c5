"""The roads, by their numbers: each a module that tells what is raced, and yields what it saw."""
