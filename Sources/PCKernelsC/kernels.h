// All kernels for one instruction set. The including file defines
//   SET          the name of the table,
//   W            floats in a vector,
//   MOST_ROWS    rows of the micro-kernel (with two vectors), for each of which FOR_ROWS stands,
//   WIDE_ROWS    rows of the wide one (with four vectors), FOR_WIDE_ROWS; 0 where it would gain nothing,
//   MOST_INPUTS  and MOST_OUTPUTS, vectors of a filter gradient's block, for each of which FOR_OUTPUTS stands,
//   HAS_MATRIX_UNIT  where the set has one,
//   TARGET       the `target` attribute, where the set is not the platform's own,
// and nothing else differs between sets.
#include <math.h>
#include <string.h>

#include "include/pc_kernels.h"
#include "transpose.h"

#ifdef TARGET
#pragma clang attribute push(__attribute__((target(TARGET))), apply_to = function)
#endif

#include "vectors.h"
#include "elementwise.h"
#include "recurrences.h"
#include "micro.h"
#include "products.h"
#include "convolutions.h"
#ifdef HAS_MATRIX_UNIT
#include "thirds.h"
#endif
#include "reductions.h"
#include "rounds.h"

/// Twelve independent chains of multiply-adds: enough to hide the latency of two units. What they start from is the caller's, so
/// that the compiler cannot know a chain's values: one that begins at 1 stays there (0.999 · 1 + 0.001), and would be left out.
static double exercise(int64_t rounds, float *value) {
  V sum[12], start = splat(*value), x = splat(0.999f), y = splat(0.001f);
  UNROLL for (int i = 0; i < 12; i++) sum[i] = start + (float)i;
  for (int64_t round = 0; round < rounds; round++) {
    UNROLL for (int i = 0; i < 12; i++) sum[i] = sum[i] * x + y;
  }
  V total = splat(0);
  UNROLL for (int i = 0; i < 12; i++) total += sum[i];
  *value = total[0];
  return 2.0 * 12 * W * (double)rounds;
}

const pc_set SET = {
    .kernels =
        {
            [PC_KERNEL_ELEMENTWISE] = elementwise,
            [PC_KERNEL_RECURRENCE] = recurrence,
            [PC_KERNEL_REDUCE] = reduce,
            [PC_KERNEL_PRODUCTS] = products,
            [PC_KERNEL_PACK] = pack,
            [PC_KERNEL_MATRIX] = matrix,
            [PC_KERNEL_MATRIX_BY_ROWS] = matrix_by_rows,
            [PC_KERNEL_MATRIX_ONCE_FOR_ALL] = matrix_once_for_all,
            [PC_KERNEL_MATRIX_ONCE] = matrix_once,
#ifdef HAS_MATRIX_UNIT
            [PC_KERNEL_PACK_THIRDS] = pack_thirds,
            [PC_KERNEL_MATRIX_THIRDS] = matrix_thirds,
            [PC_KERNEL_MATRIX_THIRDS_BY_ROWS] = matrix_thirds_by_rows,
            [PC_KERNEL_EXAMPLES_THIRDS] = examples_thirds,
            [PC_KERNEL_OUTER_THIRDS] = outer_thirds,
            [PC_KERNEL_CONVOLUTION_THIRDS] = convolution_thirds,
#endif
            [PC_KERNEL_TRANSPOSE] = transpose,
            [PC_KERNEL_OUTER] = outer,
            [PC_KERNEL_CONVOLUTION] = convolution,
            [PC_KERNEL_CONVOLUTION_ANY] = convolution_any,
            [PC_KERNEL_FILTER_GRADIENT] = filter_gradient,
            [PC_KERNEL_FILTER_GRADIENT_ANY] = filter_gradient_any,
            [PC_KERNEL_MAX_POOL] = max_pool,
            [PC_KERNEL_MAX_POOL_GRADIENT] = max_pool_gradient,
            [PC_KERNEL_ONE_HOT] = one_hot,
            [PC_KERNEL_GATHER] = gather,
            [PC_KERNEL_GATHER_GRADIENT] = gather_gradient,
            [PC_KERNEL_COMBINE] = combine,
            [PC_KERNEL_SPREAD] = spread,
            [PC_KERNEL_COURSE] = course,
            [PC_KERNEL_LAST_ROUND] = last_round,
            [PC_KERNEL_FOREIGN] = pc_call_foreign,
        },
    .width = W,
    .rows = MOST_ROWS,
    .wide_rows = WIDE_ROWS,
    .block = 2 * W,
    .wide_block = WIDE * W,
#ifdef HAS_MATRIX_UNIT
    .has_matrix_unit = true,
#endif
    .scratch_per_tap = 2 * MOST_OUTPUTS * MOST_INPUTS * W,
    .exercise = exercise,
};

#ifdef TARGET
#pragma clang attribute pop
#endif
