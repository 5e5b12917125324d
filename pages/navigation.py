"""zensical.toml: the pages of the plugins in the navigation of the site."""

from __future__ import annotations

import re

from pages.files import ROOT, Files
from pages.first_party import first_party

_LINES = re.compile(r"(# Begin: plugins.*?\n).*?( +# End: plugins)", re.DOTALL)


def build() -> Files:
    """Return the file, whose lines between two comments are one for each plugin."""
    text = (ROOT / "zensical.toml").read_text()
    lines = (f'        {{ "{p.name}" = "plugins/{p.name}.md" }},\n' for p in first_party())
    return {"zensical.toml": _LINES.sub(rf"\g<1>{''.join(lines)}\g<2>", text)}
