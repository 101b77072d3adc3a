"""stepnav makes language models reason better by rewarding their steps."""

__version__ = "0.1.0"
