// Written by Scripts/make-names.py.
//
// Names of 18 languages, from data/names of https://github.com/spro/practical-pytorch, copyright (c) 2017 Sean
// Robertson, under the MIT licence (LICENSE beside the sources). Unchanged but for the format.
#ifndef PC_NAMES_H
#define PC_NAMES_H

enum { pc_names_language_count = 18, pc_names_fold_count = 491 };

// The language's English name; alphabetical, from 0 to pc_names_language_count - 1.
const char *pc_names_language(int language);

// The language's names in UTF-8, each ended by a newline.
const char *pc_names_text(int language);

// Pairs of a character beyond ASCII and the ASCII letter or sign that its canonical decomposition holds, by character.
const unsigned short *pc_names_folds(void);

#endif
