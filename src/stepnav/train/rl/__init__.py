"""Learning from the reward: expert iteration, and GRPO with a process reward on TRL."""
