"""Plain questions: everyday word problems, drawn by seed, with an exact step checker."""
