"""How Sphinx makes a site of these pages; `make docs` writes them into one folder and calls it."""

from batchscale import __version__

project = "Batchscale"
author = "The Batchscale authors"
version = release = __version__
extensions = ["myst_parser"]
root_doc = "index"
myst_heading_anchors = 4
highlight_language = "text"
smartquotes = False  # of `--set` they would make a dash
html_theme = "alabaster"
html_theme_options = {"page_width": "72rem", "sidebar_width": "16rem", "fixed_sidebar": True, "show_powered_by": False,
                      "description": "How batch size affects accuracy, and how far the global batch scales"}
html_sidebars = {"**": ["about.html", "searchfield.html", "navigation.html"]}
html_title = "Batchscale"
html_copy_source = html_show_sourcelink = html_show_copyright = False
