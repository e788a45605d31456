"""Every Python block of the guides and READMEs runs, page by page."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
GUIDES = {"index", "install", "tutorial", "numpy", "tenseal", "parameters", "roles"}
FILES = [ROOT / "README.md", ROOT / "python" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES = [file.relative_to(ROOT).as_posix() for file in FILES if CODE.search(file.read_text())]


def test_guides_have_code():
    assert {f"docs/{guide}.md" for guide in GUIDES} | {"README.md", "python/README.md"} <= set(PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_code_of_pages(page, capsys):
    names = {"__name__": "page"}
    text = (ROOT / page).read_text()
    for block in CODE.finditer(text):
        # Line numbers of the page, in what fails.
        lines = text.count("\n", 0, block.start(1))
        exec(compile("\n" * lines + block[1], page, "exec"), names)
