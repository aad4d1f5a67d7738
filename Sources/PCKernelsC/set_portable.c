// What the platform always has: SSE2 or NEON, 16 registers or more of 4 floats.
#define SET pc_portable
#define W 4
#define MOST_ROWS 4
#define WIDE_ROWS 0
#include "kernels.h"
