"""A client library for the Blink camera cloud; it is usable alone, and knows nothing of archives."""
