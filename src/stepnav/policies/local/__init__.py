"""The policy that runs a `transformers` decoder in this process; torch is imported when made."""

from stepnav.policies.local.backend import LocalPolicy
from stepnav.policies.local.prompt import PolicyFormat

__all__ = ["LocalPolicy", "PolicyFormat"]
