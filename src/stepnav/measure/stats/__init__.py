"""Intervals and tests for figures that are paired by problem."""
