"""The package as a plug-in of evaluation harnesses."""
