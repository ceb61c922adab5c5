"""The contract of a sink as a test class: a plugin's author subclasses it with one fixture, and every promise is tested."""

from blinkarchive.conformance.basis import OpenSink, Untestable
from blinkarchive.conformance.content import MakeContent
from blinkarchive.conformance.sink import SinkContract

__all__ = ["MakeContent", "OpenSink", "SinkContract", "Untestable"]
