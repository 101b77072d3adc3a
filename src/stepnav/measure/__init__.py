"""Comparing strategies: plan, statistics, report, plots."""
