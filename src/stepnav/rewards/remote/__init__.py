"""Reward models on servers: the numbers of a family in this process, from vLLM and its like."""

from stepnav.rewards.remote.reward import RemoteReward

__all__ = ["RemoteReward"]
