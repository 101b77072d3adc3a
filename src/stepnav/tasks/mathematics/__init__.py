"""Benchmarks of problems whose answer is a number or a formula."""
