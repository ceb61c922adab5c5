"""The pytest plugin of the conformance kit: found by pytest through its entry point wherever blinkarchive is installed."""
