"""Plain questions: everyday word problems in many wordings, drawn by seed, with an exact step checker."""
