"""Step-labelled data: records, readers of public formats, exclusion, rollouts."""
