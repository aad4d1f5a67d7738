#if defined(__x86_64__)
// 32 registers of 16 floats, and a matrix unit.
#include <immintrin.h>

#define SET pc_amx
#include "registers_512.h"
#define HAS_MATRIX_UNIT
#define TARGET "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma,amx-tile,amx-bf16"
#include "kernels.h"
#else
typedef int pc_no_amx;
#endif
