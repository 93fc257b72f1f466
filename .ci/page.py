"""Run the examples of a page of the docs: python .ci/page.py PAGE.md. Ends in 1 if one is wrong."""

import doctest
import re
import sys
from pathlib import Path

page = Path(sys.argv[1])
blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.M | re.S)
text = "\n".join(block for block in blocks if ">>>" in block)
assert text, f"{page} has no example"
examples = doctest.DocTestParser().get_doctest(text, {}, page.name, str(page), 0)
runner = doctest.DocTestRunner()
runner.run(examples)
sys.exit(runner.summarize().failed > 0)
