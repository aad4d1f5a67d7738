// Which instruction sets this machine has.
#if defined(__linux__)
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "include/pc_kernels.h"

extern const pc_set pc_portable;
#if defined(__x86_64__)
extern const pc_set pc_amx, pc_avx512, pc_avx2;

static bool has_avx512(void) {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")
      && __builtin_cpu_supports("avx512vl");
}

/// Linux gives a process the registers of the matrix unit when it asks for them; all threads have them then.
static bool has_matrix_unit(void) {
#if defined(__linux__)
  enum { ask_for_registers = 0x1023, matrix_registers = 18 };
  return __builtin_cpu_supports("amx-tile") && __builtin_cpu_supports("amx-bf16") && __builtin_cpu_supports("avx512bf16")
      && syscall(SYS_arch_prctl, ask_for_registers, matrix_registers) == 0;
#else
  return false;
#endif
}
#endif

const pc_set *pc_find_set(pc_set_name name) {
  switch (name) {
#if defined(__x86_64__)
  case PC_AMX: return has_avx512() && has_matrix_unit() ? &pc_amx : NULL;
  case PC_AVX512: return has_avx512() ? &pc_avx512 : NULL;
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
