"""`stepnav data ...`: step-labelled training data."""
