"""Reading an answer's text into the form that it has."""
