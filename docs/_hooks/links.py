"""Links that work in the repository and on the site.

Pages link to files beside them, and to files outside `docs/` (`../SECURITY.md`, `../crates/math/src/lib.rs`), by
relative paths, as the repository's own site shows them. The site has no such files: links to them lead to the
repository. That a page loads nothing from another host is checked too. Whatever is wrong is a warning, which `--strict`
makes an error.
"""

import logging
import posixpath
import re
from pathlib import Path

REPOSITORY = "https://github.com/cipherblas/cipherblas"
ROOT = Path(__file__).resolve().parents[2]

log = logging.getLogger("mkdocs.hooks.links")

FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})")
# [text](target), ![text](target) and [name]: target, outside of `code`.
CODE = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)")
LINK = re.compile(r"(?P<before>\]\(|^ {0,3}\[[^\]]+\]:\s+)(?P<target>[^\s)#]+)(?P<anchor>#[^\s)]*)?")
# What a browser fetches by itself.
FETCHED = re.compile(
    r"<(?:script|img|iframe|source|video|audio)\b[^>]*\bsrc=[\"']?(?:https?:)?//[^\"'> ]+"
    r"|<link\b(?=[^>]*\brel=[\"']?(?:stylesheet|preconnect|preload|icon))[^>]*\bhref=[\"']?(?:https?:)?//[^\"'> ]+"
)


def outside(target, page):
    """The path in the repository of what `page` (relative to `docs/`) links to, or nothing if that is below `docs/`."""
    if re.match(r"[a-z][a-z0-9+.-]*:|/", target, re.IGNORECASE):
        return None
    path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), target))
    return None if path == "docs" or path.startswith("docs/") else path


def rewritten(line, page):
    """The line with links to the repository instead of links that leave `docs/`."""

    def replace(match):
        path = outside(match["target"], page)
        if path is None or any(start <= match.start("target") < end for start, end in spans):
            return match[0]
        file = ROOT / path
        if path.startswith("..") or not file.exists():
            log.warning("%s links to %s, which does not exist", page, match["target"])
        kind = "tree" if file.is_dir() else "blob"
        return f"{match['before']}{REPOSITORY}/{kind}/main/{path}{match['anchor'] or ''}"

    spans = [code.span() for code in CODE.finditer(line)]
    return LINK.sub(replace, line)


def on_page_markdown(markdown, page, **_):
    """Rewrites links, but not in code."""
    lines, fence = [], ""
    for line in markdown.split("\n"):
        mark = FENCE.match(line)
        if mark and not fence:
            fence = mark[1]
        elif mark and mark[1].startswith(fence) and line.strip() == mark[1]:
            fence = ""
        lines.append(line if fence or mark else rewritten(line, page.file.src_uri))
    return "\n".join(lines)


def on_post_page(output, page, **_):
    """Looks for what would be fetched from elsewhere."""
    for match in FETCHED.finditer(output):
        log.warning("%s loads something from another host: %s", page.file.src_uri, match[0])
    return output
