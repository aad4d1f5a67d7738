#include "pc_digits.h"
