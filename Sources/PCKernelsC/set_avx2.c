#if defined(__x86_64__)
// 16 registers of 8 floats.
#define SET pc_avx2
#define W 8
#define MOST_ROWS 6
#define WIDE_ROWS 3
#define TARGET "avx2,fma"
#include "kernels.h"
#else
typedef int pc_no_avx2;
#endif
