"""The heart: the way of a clip from where it is found to where it is kept."""
