"""Policies on OpenAI-compatible servers."""

from stepnav.policies.openai.backend import OpenAIPolicy, with_version

__all__ = ["OpenAIPolicy", "with_version"]
