"""Build the docs as a site whose warnings are errors and whose links are checked: `make docs`.

    python -m batchscale.launchers.site.build build/site [RESULTS...]

RESULTS: results folders whose whole reports the gallery links to. Needs sphinx and myst-parser, which `make docs`
installs.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ...benchmarks.errors import EXIT_OK, EXIT_RUNS_FAILED, BatchscaleError
from . import gallery, links, pages

GALLERY = Path("docs") / "gallery"


def build(root: Path, output: Path, results: Sequence[Path] = ()) -> int:
    """Write the site of the checkout `root` into `output` and return the exit code; what is wrong is printed."""
    shutil.rmtree(output, ignore_errors=True)
    source = output.with_name(f"{output.name}-pages")
    pages.write(root, source, [gallery.name_of(folder) for folder in results])
    done = subprocess.run([sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "-c",
                           str(root / "docs"), "-d", str(source / ".doctrees"), str(source), str(output)])
    if done.returncode:
        return EXIT_RUNS_FAILED
    gallery.write_reports(results, output / GALLERY)
    found = links.faults(output)
    print("\n".join([*found, f"{output / 'index.html'}: {len(list(output.rglob('*.html')))} pages, "
                     f"{len(found)} links that lead nowhere or outside"]))
    return EXIT_RUNS_FAILED if found else EXIT_OK


def main(words: Sequence[str] | None = None) -> int:
    """Build the site of the checkout that is the working folder."""
    parser = argparse.ArgumentParser(prog="site", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("results", type=Path, nargs="*")
    options = parser.parse_args(words)
    try:
        return build(Path.cwd(), options.output, options.results)
    except BatchscaleError as error:
        print(f"site: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
