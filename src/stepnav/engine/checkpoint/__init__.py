"""From a folder, a name of the hub or a file to a model and its tokenizer."""
