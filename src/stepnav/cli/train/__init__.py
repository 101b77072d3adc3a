"""`stepnav train ...`: fine-tuning of policies and reward models."""
