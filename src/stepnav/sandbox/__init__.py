"""Running untrusted Python: only values come out of the box, and verdicts are made outside it."""
