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
