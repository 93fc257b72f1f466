"""Run the Python blocks of the README, as they stand, one after the other."""

import re
from pathlib import Path

text = Path("README.md").read_text()
blocks = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
assert blocks, "the README has no Python block"
for block in blocks:
    print(block)
    exec(compile(block, "README.md", "exec"), {})
