"""mkdocs hooks: pages outside `docs/`, pages of notebooks, and links that are right here, too.

The links in the sources are those of a code host: relative paths in the repository. `README.md` is
the site's first page. Links to files that are no page, such as source code, lose their target.
"""

import posixpath
import re
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

sys.path.insert(0, str(Path(__file__).parent))
import notebook

ROOT = Path(__file__).parents[2]
OUTSIDE = {
    "README.md": "index.md",
    **{name: name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")},
}
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!\w+:|#)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for source, page in OUTSIDE.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    for path in sorted(notebook.FOLDER.glob("*.ipynb")):
        content = notebook.page(notebook.read(path))
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    uri = page.file.src_uri
    source = next((s for s, name in OUTSIDE.items() if name == uri), f"docs/{uri}")

    def on_site(link: re.Match[str]) -> str:
        image, text, target, anchor = link.groups()
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        target = OUTSIDE.get(path) or path.removeprefix("docs/")
        if files.get_file_from_path(target) is None:
            if not (ROOT / path).exists():
                return link[0]  # mkdocs reports it
            return text
        target = posixpath.relpath(target, posixpath.dirname(uri) or ".")
        return f"{image}[{text}]({target}{anchor or ''})"

    return LINK.sub(on_site, markdown)
