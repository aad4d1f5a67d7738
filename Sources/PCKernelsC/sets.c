// Which instruction sets this machine has.
#include "include/pc_kernels.h"

extern const pc_set pc_portable;
#if defined(__x86_64__)
extern const pc_set pc_avx512, pc_avx2;
#endif

const pc_set *pc_find_set(pc_set_name name) {
  switch (name) {
#if defined(__x86_64__)
  case PC_AVX512:
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
            && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")
        ? &pc_avx512
        : NULL;
  case PC_AVX2: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &pc_avx2 : NULL;
#endif
  case PC_PORTABLE: return &pc_portable;
  default: return NULL;
  }
}

pc_kernel pc_kernel_of(const pc_set *set, pc_kernel_name name) { return set->kernels[name]; }

void pc_call_foreign(const void *parameters, const pc_work *work) {
  const pc_foreign *f = parameters;
  f->function(
      f->context, work->tile, work->live, work->coefficients[f->alpha], work->coefficients[f->beta]);
}
