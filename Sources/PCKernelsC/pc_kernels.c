#include "pc_kernels.h"
