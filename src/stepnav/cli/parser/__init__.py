"""How commands become a parser: their table, what stands for options, and what the parser lacks."""
