"""Running searches: the driver, the journal and replay."""
