"""What libraries would cost in place of mydocker's own code for the same subject: time to import, and to read a tar.

    .venv/bin/python tests/bench/libraries.py [-n RUNS]

Compared are the libraries that are installed; `pip install semantic-version gjson python-dotenv` adds those that are no
dependencies of mydocker. Imports are medians of whole processes, less that of a bare interpreter. The tar has 20,200
entries of which most are files of 4 kB, in memory; times are of the processor, and ratios of one session.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import pathlib
import statistics
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from lab.recorder import Nowhere

from mydocker.image.layer.scan import Scan

PAIRS = {  # mydocker's module -> the libraries for it
    "mydocker.verdict.semver": ("semantic_version", "packaging.specifiers"),
    "mydocker.verdict.gjson": ("gjson",),
    "mydocker.specs.environment.dotenv": ("dotenv",),
    "mydocker.image.layer.scan": ("tarfile",),
}
_CHUNK = 1 << 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=15, metavar="RUNS", help="runs of each (default: %(default)s)")
    runs = parser.parse_args().n
    print(f"{'import':36}{'ms':>8}{'lines':>8}")
    for own, libraries in PAIRS.items():
        for module in (own, *libraries):
            _report_import(module, runs)
    archive = _archive()
    scan, library = _measure(archive, runs)
    print(f"\n{'read a tar of 20,200 entries':36}{'s':>8}\n{'mydocker':36}{scan:8.2f}\n{'tarfile':36}{library:8.2f}")


def _report_import(module: str, runs: int) -> None:
    if importlib.util.find_spec(module.partition(".")[0]) is None:
        print(f"{module:36}{'-':>8}")
        return
    spent = [(_seconds(f"import {module}") - _seconds("pass")) * 1000 for _ in range(runs)]
    print(f"{module:36}{statistics.median(spent):8.1f}{_lines(module):8}")


def _seconds(code: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - began


def _lines(module: str) -> int:
    """Of mydocker's file, or of the whole library."""
    spec = importlib.util.find_spec(module if module.startswith("mydocker") else module.partition(".")[0])
    assert spec and spec.origin
    origin = pathlib.Path(spec.origin)
    files = origin.parent.rglob("*.py") if origin.name == "__init__.py" else [origin]
    return sum(len(file.read_text().splitlines()) for file in files)


def _archive() -> bytes:
    """A layer as images have them: directories of Python files."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for directory in range(200):
            head = tarfile.TarInfo(f"usr/lib/d{directory}")
            head.type, head.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(head)
            for number in range(100):
                head = tarfile.TarInfo(f"usr/lib/d{directory}/file{number}.py")
                head.size, head.mode, head.mtime = 4000, 0o644, 1_700_000_000
                archive.addfile(head, io.BytesIO(b"x" * head.size))
    return whole.getvalue()


def _measure(archive: bytes, runs: int) -> tuple[float, float]:
    """Seconds of mydocker's scan, and of tarfile's stream; both see each header and all contents."""
    own, library = [], []
    for _ in range(min(runs, 5)):
        began = time.process_time()
        Scan(Nowhere(), what="layer", devices=True).read(_chunks(archive))
        middle = time.process_time()
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r|") as stream:
            for entry in stream:
                contents = stream.extractfile(entry) if entry.isreg() else None
                while contents and contents.read(1 << 16):
                    pass
        own.append(middle - began)
        library.append(time.process_time() - middle)
    return statistics.median(own), statistics.median(library)


def _chunks(archive: bytes) -> Iterator[bytes]:
    for start in range(0, len(archive), _CHUNK):
        yield archive[start : start + _CHUNK]


if __name__ == "__main__":
    main()
