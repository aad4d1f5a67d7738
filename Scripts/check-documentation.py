"""Lists public symbols whose doc comment is missing or is a list without a sentence; exit status 1 if there are any.

    swift package dump-symbol-graph --minimum-access-level public --skip-synthesized-members
    python3 Scripts/check-documentation.py FOLDER MODULE...

FOLDER holds the symbol graphs (the command above prints its path); only the given modules are looked at. Exempt is what
nobody writes or everybody inherits: synthesised symbols, and implementations of a protocol's requirement, which DocC
shows with the requirement's own text.
"""

import json
import pathlib
import sys


def undocumented(graph):
    """(file, line, dotted path) of each undocumented symbol of one symbol graph."""
    inherits = {r["source"] for r in graph["relationships"] if "sourceOrigin" in r}
    for symbol in graph["symbols"]:
        identifier = symbol["identifier"]["precise"]
        location = symbol.get("location")
        if identifier in inherits or location is None or "::SYNTHESIZED::" in identifier:
            continue
        if symbol["kind"]["identifier"] == "swift.extension":
            continue
        lines = symbol.get("docComment", {}).get("lines", [])
        if lines and not lines[0]["text"].lstrip().startswith("- "):
            continue
        file = location["uri"].removeprefix("file://")
        yield file, location["position"]["line"] + 1, ".".join(symbol["pathComponents"])


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    folder, modules = pathlib.Path(sys.argv[1]), sys.argv[2:]
    found = set()
    for module in modules:
        graphs = [path for pattern in ("", "@*") for path in folder.glob(f"**/{module}{pattern}.symbols.json")]
        if not graphs:
            sys.exit(f"{folder} has no symbol graph of the module {module}; run swift package dump-symbol-graph first")
        for path in graphs:
            found.update(undocumented(json.loads(path.read_text())))
    here = f"{pathlib.Path.cwd()}/"
    for file, line, name in sorted(found):
        print(f"{file.removeprefix(here)}:{line}: {name} has no documentation")
    sys.exit(1 if found else 0)


main()
