// What the platform always has: SSE2 or NEON, 16 registers or more of 4 floats.
#define SET pc_portable
#define W 4
#define MOST_ROWS 4
#define FOR_ROWS(DO) DO(1) DO(2) DO(3) DO(4)
#define WIDE_ROWS 0
#define FOR_WIDE_ROWS(DO)
#define MOST_INPUTS 3
#define MOST_OUTPUTS 4
#define FOR_OUTPUTS(DO) DO(1) DO(2) DO(3) DO(4)
#include "kernels.h"
