"""Inputs of functions: those that tests call them with, and others of the same pattern."""
