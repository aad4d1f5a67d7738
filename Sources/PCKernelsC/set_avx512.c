#if defined(__x86_64__)
// 32 registers of 16 floats.
#define SET pc_avx512
#include "registers_512.h"
#define TARGET "avx512f,avx512bw,avx512dq,avx512vl,fma"
#include "kernels.h"
#else
typedef int pc_no_avx512;
#endif
