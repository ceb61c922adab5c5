"""A Blink cloud on loopback: a world of clips, what goes wrong in it, the server that plays it, and time that jumps."""

from blinkarchive.simulator.commands import Command
from blinkarchive.simulator.devices import Camera, Network, SyncModule
from blinkarchive.simulator.faults import Fault, Faults, Fired
from blinkarchive.simulator.journal import Exchange
from blinkarchive.simulator.plan import (
    AccountPlan,
    CameraPlan,
    NetworkPlan,
    Rules,
    SyncModulePlan,
    WorldPlan,
)
from blinkarchive.simulator.server import Running, Simulator
from blinkarchive.simulator.stick import LocalClip
from blinkarchive.simulator.virtual import Standstill, VirtualClock, VirtualLoop
from blinkarchive.simulator.world import Account, CloudClip, World

__all__ = [
    "Account",
    "AccountPlan",
    "Camera",
    "CameraPlan",
    "CloudClip",
    "Command",
    "Exchange",
    "Fault",
    "Faults",
    "Fired",
    "LocalClip",
    "Network",
    "NetworkPlan",
    "Rules",
    "Running",
    "Simulator",
    "Standstill",
    "SyncModule",
    "SyncModulePlan",
    "VirtualClock",
    "VirtualLoop",
    "World",
    "WorldPlan",
]
