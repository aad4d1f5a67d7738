#if defined(__x86_64__)
// 16 registers of 8 floats.
#define SET pc_avx2
#define W 8
#define MOST_ROWS 6
#define FOR_ROWS(DO) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6)
#define WIDE_ROWS 3
#define FOR_WIDE_ROWS(DO) DO(1) DO(2) DO(3)
#define MOST_INPUTS 3
#define MOST_OUTPUTS 4
#define FOR_OUTPUTS(DO) DO(1) DO(2) DO(3) DO(4)
#define TARGET "avx2,fma"
#include "kernels.h"
#else
typedef int pc_no_avx2;
#endif
