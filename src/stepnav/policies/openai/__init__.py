"""Policies on OpenAI-compatible servers."""

from stepnav.policies.openai.backend import OpenAIPolicy

__all__ = ["OpenAIPolicy"]
