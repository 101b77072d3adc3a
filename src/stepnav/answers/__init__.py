"""Answers: finding them in text and deciding whether two are equal."""
