"""Every Python block of the guides and READMEs runs, page by page."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    "python/README.md",
    "README.md",
    "docs/tutorial.md",
    "docs/numpy.md",
    "docs/tenseal.md",
    "docs/parameters.md",
]


@pytest.mark.parametrize("page", PAGES)
def test_code_of_pages(page, capsys):
    text = (ROOT / page).read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert blocks
    names = {"__name__": "page"}
    for block in blocks:
        exec(compile(block, page, "exec"), names)
