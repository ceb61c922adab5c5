"""A Blink cloud on loopback: a world of accounts and clips, what goes wrong in it, and the server that plays it."""

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
from blinkarchive.simulator.world import Account, Camera, CloudClip, Network, SyncModule, World

__all__ = [
    "Account",
    "AccountPlan",
    "Camera",
    "CameraPlan",
    "CloudClip",
    "Exchange",
    "Fault",
    "Faults",
    "Fired",
    "Network",
    "NetworkPlan",
    "Rules",
    "Running",
    "Simulator",
    "SyncModule",
    "SyncModulePlan",
    "World",
    "WorldPlan",
]
