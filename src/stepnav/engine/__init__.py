"""Runs any `transformers` decoder, unmodified, in continuous batches over a tree of known prefixes.

One packed forward pass serves all open rows: rows that write token by token and rows that read a
prompt stand side by side, each attending to its own slot only. Keys and values of finished steps
are kept in a tree, so that no prefix is read twice. Policies and reward models share all of it.

Plain Llamas, as those that ship, run in torch alone (`llama`); any other is hosted (`hosted`), and
`transformers` is imported only then.
"""
