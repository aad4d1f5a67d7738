"""Writes Sources/PCDigits from the copy of the data set that scikit-learn carries.

    pip install scikit-learn
    python Scripts/make-digits.py
"""

import hashlib
import pathlib

from sklearn.datasets import load_digits

folder = pathlib.Path(__file__).resolve().parent.parent / "Sources" / "PCDigits"
(folder / "include").mkdir(parents=True, exist_ok=True)

digits = load_digits()
pixels = digits.data.astype("uint8")
labels = digits.target.astype("uint8")
assert pixels.shape == (1797, 64) and (pixels == digits.data).all() and pixels.max() == 16
assert labels.shape == (1797,) and labels.max() == 9


def array(name, numbers, per_line):
    numbers = [str(number) for number in numbers.ravel()]
    lines = (",".join(numbers[i : i + per_line]) for i in range(0, len(numbers), per_line))
    return "static const unsigned char %s[] = {\n%s\n};\n" % (name, ",\n".join(lines))


source = """\
// Written by Scripts/make-digits.py; the data's authors and licence are in include/pc_digits.h.
#include "pc_digits.h"

%s
%s
const unsigned char *pc_digits_pixels(void) { return pixels; }
const unsigned char *pc_digits_labels(void) { return labels; }
""" % (array("pixels", pixels, 32), array("labels", labels, 50))

header = """\
// Written by Scripts/make-digits.py.
//
// The 1797 test images of "Optical Recognition of Handwritten Digits", E. Alpaydin and C. Kaynak, 1998, UCI Machine
// Learning Repository, https://doi.org/10.24432/C50P49, under CC BY 4.0
// (https://creativecommons.org/licenses/by/4.0/). Unchanged but for the format: the values and their order are those
// of scikit-learn's load_digits.
#ifndef PC_DIGITS_H
#define PC_DIGITS_H

enum { pc_digits_count = 1797, pc_digits_height = 8, pc_digits_width = 8, pc_digits_maximum = 16 };

// count x height x width numbers from 0 (paper) to 16 (ink), image by image, row by row. A function and not an array,
// because Swift would import an array as a tuple of as many elements.
const unsigned char *pc_digits_pixels(void);

// count digits from 0 to 9.
const unsigned char *pc_digits_labels(void);

#endif
"""

(folder / "pc_digits.c").write_text(source)
(folder / "include" / "pc_digits.h").write_text(header)
print("label counts", [int((labels == digit).sum()) for digit in range(10)])
print("sha256 of pixels", hashlib.sha256(pixels.tobytes()).hexdigest())
print("sha256 of labels", hashlib.sha256(labels.tobytes()).hexdigest())
print("image 0", pixels[0].tolist())
print("image 1796", pixels[1796].tolist(), labels[1796])
