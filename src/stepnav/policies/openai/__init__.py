"""Policies on OpenAI-compatible servers.

Nothing is imported here: whoever takes only the options should not wait for the client.
"""
