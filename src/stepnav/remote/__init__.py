"""What models on servers share: connections, retries, errors, and a queue of calls."""
