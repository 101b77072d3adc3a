"""Checks a compose file against the compose specification, variables filled in as the engine does.

python .ci/check_compose.py compose.yaml
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from compose_spec import PyOptions

text = Path(sys.argv[1]).read_text()
defaults = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
filled = re.sub(r"\$\{\w+:\?[^}]*\}", "./given", defaults)
options = PyOptions()
options.apply_merge = True
found = options.from_yaml(filled)
found.validate()
print(f"{sys.argv[1]} is valid")
