"""What a run folder shows: tables, plots, pages."""
