#if defined(__x86_64__)
// 32 registers of 16 floats.
#define SET pc_avx512
#define W 16
#define MOST_ROWS 12
#define FOR_ROWS(DO) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12)
#define WIDE_ROWS 6
#define FOR_WIDE_ROWS(DO) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6)
#define MOST_INPUTS 4
#define MOST_OUTPUTS 6
#define FOR_OUTPUTS(DO) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6)
#define TARGET "avx512f,avx512bw,avx512dq,avx512vl,fma"
#include "kernels.h"
#else
typedef int pc_no_avx512;
#endif
