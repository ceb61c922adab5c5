"""How the schema came to be, one numbered step after another; an index is never taken back a step."""
