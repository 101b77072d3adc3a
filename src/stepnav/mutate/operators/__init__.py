"""The mutation operators: one table, small generators."""
