"""The contracts as test classes: a plugin's author subclasses one, and every promise is tested."""
