"""Writes Sources/PCNames from a folder of files that hold one language's names each, one a line.

    python3 Scripts/make-names.py FOLDER

FOLDER is data/names of https://github.com/spro/practical-pytorch with its LICENSE. Prints the numbers that the tests
expect, as Python's unicodedata folds the names.
"""

import hashlib
import pathlib
import shutil
import string
import sys
import unicodedata

ALPHABET = string.ascii_letters + " .,;'"
source = pathlib.Path(sys.argv[1])
folder = pathlib.Path(__file__).resolve().parent.parent / "Sources" / "PCNames"
(folder / "include").mkdir(parents=True, exist_ok=True)

languages = {path.stem: path.read_text(encoding="utf-8").split("\n") for path in sorted(source.glob("*.txt"))}
for names in languages.values():
    assert names.pop() == "" and all(names)
assert len(languages) == 18 and sum(map(len, languages.values())) == 20050


def fold(text):
    return "".join(
        c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn" and c in ALPHABET
    )


# The letters beyond ASCII that have a folded form; all lie in the first 65,536.
folds = [(point, fold(chr(point))) for point in range(0x80, 0x10000) if not 0xD800 <= point < 0xE000]
folds = [(point, letter) for point, letter in folds if letter]
assert all(len(letter) == 1 for _, letter in folds)
assert not any(fold(chr(point)) for point in range(0x10000, 0x110000))

notice = """\
// Written by Scripts/make-names.py.
//
// Names of 18 languages, from data/names of https://github.com/spro/practical-pytorch, copyright (c) 2017 Sean
// Robertson, under the MIT licence (LICENSE beside the sources). Unchanged but for the format.
"""


def quoted(names, width=110):
    """C string literals that end each name by a newline, several names in a line of the file."""
    lines, line = [], ""
    for name in names:
        assert not set('"\\?') & set(name)
        if len(line) + len(name) + 2 > width:
            lines.append(line)
            line = ""
        line += name + "\\n"
    return "\n".join('"%s"' % line for line in lines + [line])


def table(rows, per_line=10):
    return ",\n".join(", ".join(rows[i : i + per_line]) for i in range(0, len(rows), per_line))


tables = {
    "languages": ("char *const", table(['"%s"' % name for name in languages], 6)),
    "names": (
        "char *const",
        ",\n\n".join("// %s\n%s" % (name, quoted(names)) for name, names in languages.items()),
    ),
    "folds": ("unsigned short", table(["%d, '%s'" % (point, letter.replace("'", "\\'")) for point, letter in folds])),
}
text = notice + '#include "pc_names.h"\n'
for name, (kind, rows) in tables.items():
    text += "\nstatic const %s %s[] = {\n%s,\n};\n" % (kind, name, rows)
text += """
const char *pc_names_language(int language) { return languages[language]; }
const char *pc_names_text(int language) { return names[language]; }
const unsigned short *pc_names_folds(void) { return folds; }
"""

header = notice + """\
#ifndef PC_NAMES_H
#define PC_NAMES_H

enum { pc_names_language_count = %d, pc_names_fold_count = %d };

// The language's English name; alphabetical, from 0 to pc_names_language_count - 1.
const char *pc_names_language(int language);

// The language's names in UTF-8, each ended by a newline.
const char *pc_names_text(int language);

// Pairs of a character beyond ASCII and the ASCII letter or sign that its canonical decomposition holds, by character.
const unsigned short *pc_names_folds(void);

#endif
""" % (len(languages), len(folds))

(folder / "pc_names.c").write_text(text, encoding="utf-8")
(folder / "include" / "pc_names.h").write_text(header, encoding="utf-8")
shutil.copyfile(source / "LICENSE", folder / "LICENSE")

for name, names in languages.items():
    folded = list(map(fold, names))
    print('("%s", %d, %d, %d),' % (name, len(folded), len(set(folded)), sum(map(len, folded))))
print("changed", sum(name != fold(name) for names in languages.values() for name in names))
lines = "".join("%s\t%s\n" % (name, fold(entry)) for name, names in languages.items() for entry in names)
print("sha256 of all lines `language, tab, folded name, newline`", hashlib.sha256(lines.encode()).hexdigest())
print("sha256 of the folded forms", hashlib.sha256("".join("%d%s" % pair for pair in folds).encode()).hexdigest())
