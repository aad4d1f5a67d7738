// The micro-kernel: a block of R rows of weights times N vectors of the source, held in registers.
//
//     sum[r][n] = Σ over three nested counts of weights[r] · source[n]
//
// Each count steps both pointers by a constant. A matrix product is one such count; a convolution is all three (tap rows,
// tap columns and channels), with whatever lies outside of the image left out of the counts. Each weight is read once and
// spread over a vector, each source vector is read once for R rows. R × N is as large as the registers allow: with 16
// registers 6 × 2 or 3 × 4, with 32 registers 8 × 2.
//
// Weights are packed: the R weights of a step are neighbours. Callers: `matrix`, `outer`, `convolution`.
//
// Where another program runs on the core's second thread, the two share the front end and the load units, and multipliers wait for
// these. So some of the innermost steps are written out, which saves the loop's own instructions; and where a set has a wide block
// (`WIDE_ROWS` rows times `WIDE` vectors), it is taken for lanes that fill it: of 3 × 4 a step is 3 weights, 4 vectors and 12
// multiply-adds, of 6 × 2 it is one load more. Multiply-adds that read memory themselves save instructions but load more often:
// slower.

typedef struct {
  int64_t count[3], weight[3], source[3];
} Loops;

/// Vectors of a wide block.
#define WIDE 4

/// Twelve sums and three weights leave one of 16 registers for vectors of the source: the compiler must not read the next one before the
/// sums have taken this one up.
#if defined(__x86_64__)
#define IN_TURN(x) __asm__ volatile("" : "+x"(x) : : "memory")
#else
#define IN_TURN(x) (void)(x)
#endif

INLINE void multiply_once(
    const int R, const int N, const float *weights, const float *source, const int64_t source_step,
    V sum[MOST_ROWS][WIDE]) {
  if (N == WIDE) {
    V a[MOST_ROWS];
    UNROLL for (int n = 0; n < N; n++) {
      V x = load(source + n * source_step);
      UNROLL for (int r = 0; r < R; r++) {
        // Loads far apart: they come in their own time where another program reads beside this one.
        if (n == 0) a[r] = splat(weights[r]);
        sum[r][n] += a[r] * x;
        IN_TURN(sum[r][n]);
      }
    }
    return;
  }
  V x[2];
  UNROLL for (int n = 0; n < N; n++) x[n] = load(source + n * source_step);
  UNROLL for (int r = 0; r < R; r++) {
    V a = splat(weights[r]);
    UNROLL for (int n = 0; n < N; n++) sum[r][n] += a * x[n];
  }
}

/// Steps of the innermost count, `abreast` at a time, where the R weights of each follow those of the one before; returns how many are
/// left.
INLINE int64_t multiply_abreast(
    const int R, const int N, const int abreast, int64_t count, const float **weights, const float **source,
    const int64_t step, const int64_t source_step, V sum[MOST_ROWS][WIDE]) {
  for (; count >= abreast; count -= abreast, *weights += abreast * R, *source += abreast * step)
    UNROLL for (int u = 0; u < abreast; u++)
      multiply_once(R, N, *weights + u * R, *source + u * step, source_step, sum);
  return count;
}

/// The innermost count: R neighbouring weights a step, where `weight_step` is R.
INLINE void multiply_steps(
    const int R, const int N, int64_t count, const float *weights, int64_t weight_step, const float *source, int64_t step,
    const int64_t source_step, V sum[MOST_ROWS][WIDE]) {
  if (weight_step == R) {
    // Steps that the compiler knows cost no instructions.
    if (N == WIDE && step == WIDE * W)
      count = multiply_abreast(R, N, 8, count, &weights, &source, WIDE * W, source_step, sum);
    count = multiply_abreast(R, N, 4, count, &weights, &source, step, source_step, sum);
  }
  for (; count > 0; count--, weights += weight_step, source += step)
    multiply_once(R, N, weights, source, source_step, sum);
}

INLINE void multiply(
    const int R, const int N, const Loops *loops, const float *weights, const float *source, const int64_t source_step,
    float *result, int64_t result_row, int64_t result_step, float alpha, float beta) {
  V sum[MOST_ROWS][WIDE];
  UNROLL for (int r = 0; r < R; r++) {
    UNROLL for (int n = 0; n < N; n++) sum[r][n] = splat(0);
  }
  for (int64_t i = 0; i < loops->count[0]; i++) {
    const float *wi = weights + i * loops->weight[0], *si = source + i * loops->source[0];
    for (int64_t j = 0; j < loops->count[1]; j++)
      multiply_steps(
          R, N, loops->count[2], wi + j * loops->weight[1], loops->weight[2], si + j * loops->source[1],
          loops->source[2], source_step, sum);
  }
  UNROLL for (int r = 0; r < R; r++) {
    UNROLL for (int n = 0; n < N; n++) blend(result + r * result_row + n * result_step, 1, 0, sum[r][n], alpha, beta);
  }
}

typedef void (*Micro)(
    const Loops *loops, const float *weights, const float *source, int64_t source_step, float *result,
    int64_t result_row, int64_t result_step, float alpha, float beta);

#define MICRO_OF(R, N)                                                                                            \
  static void micro_##R##_##N(                                                                                    \
      const Loops *loops, const float *weights, const float *source, int64_t source_step, float *result,          \
      int64_t result_row, int64_t result_step, float alpha, float beta) {                                         \
    multiply(R, N, loops, weights, source, source_step, result, result_row, result_step, alpha, beta);            \
  }
#define MICRO(R) MICRO_OF(R, 1) MICRO_OF(R, 2)

MICRO_OF(1, 4)
MICRO_OF(2, 4)
MICRO_OF(3, 4)

MICRO(1)
MICRO(2)
MICRO(3)
MICRO(4)
#if MOST_ROWS > 4
MICRO(5)
MICRO(6)
#endif
#if MOST_ROWS > 6
MICRO(7)
MICRO(8)
#endif

/// A panel of R rows times all lanes of a column, N vectors at a time: the plain loop of a matrix product, which is short enough for
/// the calls around it to count. With `bias` (null: none), a number for each row, alpha is 1.
INLINE void multiply_lanes(
    const int R, const int N, int64_t depth, const float *weights, const float *source, int64_t step, int64_t lanes,
    float *result, int64_t result_row, float alpha, float beta, const float *bias) {
  for (int64_t l = 0; l < lanes; l += N * W) {
    V sum[MOST_ROWS][WIDE];
    UNROLL for (int r = 0; r < R; r++) {
      UNROLL for (int n = 0; n < N; n++) sum[r][n] = splat(0);
    }
    multiply_steps(R, N, depth, weights, R, source + l, step, W, sum);
    if (bias) {
      UNROLL for (int r = 0; r < R; r++) {
        UNROLL for (int n = 0; n < N; n++) {
          float *at = result + r * result_row + l + n * W;
          store(at, blended(at, sum[r][n], beta) + splat(bias[r]));
        }
      }
      continue;
    }
    UNROLL for (int r = 0; r < R; r++) {
      UNROLL for (int n = 0; n < N; n++) blend(result + r * result_row + l, 1, n, sum[r][n], alpha, beta);
    }
  }
}

typedef void (*MicroLanes)(
    int64_t depth, const float *weights, const float *source, int64_t step, int64_t lanes, float *result,
    int64_t result_row, float alpha, float beta, const float *bias);

#define MICRO_LANES_OF(R, N)                                                                                            \
  static void micro_lanes_##R##_##N(                                                                                    \
      int64_t depth, const float *weights, const float *source, int64_t step, int64_t lanes, float *result,       \
      int64_t result_row, float alpha, float beta, const float *bias) {                                           \
    multiply_lanes(R, N, depth, weights, source, step, lanes, result, result_row, alpha, beta, bias);             \
  }

#define MICRO_LANES(R) MICRO_LANES_OF(R, 2)

MICRO_LANES_OF(1, 4)
MICRO_LANES_OF(2, 4)
MICRO_LANES_OF(3, 4)
MICRO_LANES(1)
MICRO_LANES(2)
MICRO_LANES(3)
MICRO_LANES(4)
#if MOST_ROWS > 4
MICRO_LANES(5)
MICRO_LANES(6)
#endif
#if MOST_ROWS > 6
MICRO_LANES(7)
MICRO_LANES(8)
#endif

/// Two panels of R rows, `next` apart, times one vector: a single panel would have too few sums to hide the latency.
INLINE void multiply_pair(
    const int R, int64_t depth, const float *weights, int64_t next, const float *source, int64_t source_step,
    float *result, int64_t result_row, float alpha, float beta) {
  V sum[2][MOST_ROWS];
  UNROLL for (int r = 0; r < R; r++) sum[0][r] = sum[1][r] = splat(0);
  for (int64_t k = 0; k < depth; k++, weights += R, source += source_step) {
    V x = load(source);
    __builtin_prefetch(weights + 2 * next, 0, 2);
    __builtin_prefetch(weights + 3 * next, 0, 2);
    UNROLL for (int r = 0; r < R; r++) {
      sum[0][r] += splat(weights[r]) * x;
      sum[1][r] += splat(weights[next + r]) * x;
    }
  }
  UNROLL for (int panel = 0; panel < 2; panel++) {
    UNROLL for (int r = 0; r < R; r++) blend(result + (panel * R + r) * result_row, 1, 0, sum[panel][r], alpha, beta);
  }
}

typedef void (*MicroPair)(
    int64_t depth, const float *weights, int64_t next, const float *source, int64_t source_step, float *result,
    int64_t result_row, float alpha, float beta);

#define MICRO_PAIR(R)                                                                                              \
  static void micro_pair_##R(                                                                                      \
      int64_t depth, const float *weights, int64_t next, const float *source, int64_t source_step, float *result,  \
      int64_t result_row, float alpha, float beta) {                                                               \
    multiply_pair(R, depth, weights, next, source, source_step, result, result_row, alpha, beta);                  \
  }

MICRO_PAIR(1)
MICRO_PAIR(2)
MICRO_PAIR(3)
MICRO_PAIR(4)
#if MOST_ROWS > 4
MICRO_PAIR(5)
MICRO_PAIR(6)
#endif
#if MOST_ROWS > 6
MICRO_PAIR(7)
MICRO_PAIR(8)
#endif

#if MOST_ROWS > 6
#define MICROS(N)                                                                                              \
  {                                                                                                            \
    0, micro_1_##N, micro_2_##N, micro_3_##N, micro_4_##N, micro_5_##N, micro_6_##N, micro_7_##N, micro_8_##N \
  }
#elif MOST_ROWS > 4
#define MICROS(N) \
  { 0, micro_1_##N, micro_2_##N, micro_3_##N, micro_4_##N, micro_5_##N, micro_6_##N }
#else
#define MICROS(N) \
  { 0, micro_1_##N, micro_2_##N, micro_3_##N, micro_4_##N }
#endif

/// By rows; one and two vectors.
static const Micro micro_one[MOST_ROWS + 1] = MICROS(1);
static const Micro micro_two[MOST_ROWS + 1] = MICROS(2);
static const Micro micro_wide[] = {0, micro_1_4, micro_2_4, micro_3_4};

/// By rows, for panels of this height at most; and the numbers that it takes beside one another.
INLINE const Micro *micros_of(int64_t height) { return height == WIDE_ROWS ? micro_wide : micro_two; }
INLINE int64_t breadth_of(int64_t height) { return W * (height == WIDE_ROWS ? WIDE : 2); }

static const MicroLanes micro_lanes[MOST_ROWS + 1] = {
    0, micro_lanes_1_2, micro_lanes_2_2, micro_lanes_3_2, micro_lanes_4_2,
#if MOST_ROWS > 4
    micro_lanes_5_2, micro_lanes_6_2,
#endif
#if MOST_ROWS > 6
    micro_lanes_7_2, micro_lanes_8_2,
#endif
};

static const MicroLanes micro_lanes_wide[] = {0, micro_lanes_1_4, micro_lanes_2_4, micro_lanes_3_4};

INLINE const MicroLanes *micro_lanes_of(int64_t height) { return height == WIDE_ROWS ? micro_lanes_wide : micro_lanes; }

static const MicroPair micro_pair[MOST_ROWS + 1] = {
    0, micro_pair_1, micro_pair_2, micro_pair_3, micro_pair_4,
#if MOST_ROWS > 4
    micro_pair_5, micro_pair_6,
#endif
#if MOST_ROWS > 6
    micro_pair_7, micro_pair_8,
#endif
};

// MARK: Panels

INLINE void pack_panel(const pc_pack *p, const int rows, const float *source, float *target) {
  const int64_t row = p->row, step = p->stride2;
  for (int64_t i = 0; i < p->count0; i++)
    for (int64_t j = 0; j < p->count1; j++) {
      const float *at = source + i * p->stride0 + j * p->stride1;
      int64_t k = 0;
      if (rows >= 4 && step == 1)
        for (; k + 4 <= p->count2; k += 4, at += 4, target += 4 * rows) {
          // Four rows, and the last four: those in both are written twice.
          transpose_quads(at, row, target, rows);
          if (rows > 4) transpose_quads(at + (rows - 4) * row, row, target + rows - 4, rows);
        }
      if (rows == 3 && step == 1)
        for (; k + 4 <= p->count2; k += 4, at += 4, target += 12) transpose_triples(at, row, target);
      for (; k < p->count2; k++, at += step, target += rows)
        UNROLL for (int r = 0; r < rows; r++) target[r] = at[r * row];
    }
}

/// Where the rows of a step are neighbours, all panels get some steps before any gets more: the source is then read in as many
/// streams, from end to end, and a panel is written by whole lines.
enum { streams = 16 };

INLINE void pack_steps(const int rows, const int64_t steps, const float *source, int64_t step, float *target) {
  int64_t k = 0;
  // One copy a step instead of two, where the fourth number that it takes along is there to be read and is written over by the next step.
  if (rows == 3 && step >= 3)
    for (; k + 1 < steps; k++) *(Quad *)(target + 3 * k) = *(const Quad *)(source + k * step);
  for (; k < steps; k++) memcpy(target + k * rows, source + k * step, sizeof(float) * (size_t)rows);
}

static void pack_rows(
    const pc_pack *p, const int64_t panels, int64_t first, int64_t last, const float *source, float *target) {
  const int64_t first_row = panel_start(p->rows, panels, first);
  const int64_t least = p->rows / panels, left = p->rows % panels;
  int64_t depth = p->start;
  for (int64_t i = 0; i < p->count0; i++)
    for (int64_t j = 0; j < p->count1; j++)
      for (int64_t k = 0; k < p->count2; k += streams) {
        const int64_t steps = p->count2 - k < streams ? p->count2 - k : streams;
        const float *at = source + i * p->stride0 + j * p->stride1 + k * p->stride2;
        // Panels' starts without a division for each: `over` counts what `panel_start` rounds away.
        int64_t row = panel_start(p->rows, panels, first), over = p->rows * first % panels;
        for (int64_t panel = first, rows; panel < last; panel++, row += rows) {
          over += left;
          rows = least + (over >= panels);
          if (over >= panels) over -= panels;
          float *to = target + (row - first_row) * p->depth + depth * rows;
          if (rows == MOST_ROWS)
            pack_steps(MOST_ROWS, steps, at + row, p->stride2, to);
          else if (rows == WIDE_ROWS)
            pack_steps(WIDE_ROWS, steps, at + row, p->stride2, to);
          else
            for (int64_t s = 0; s < steps; s++)
              for (int64_t r = 0; r < rows; r++) to[s * rows + r] = at[s * p->stride2 + row + r];
        }
        depth += steps;
      }
}

/// Panels `first ..< last`, to `target` and on.
static void pack_panels(
    const pc_pack *p, int64_t panels, int64_t first, int64_t last, const float *source, float *target) {
  if (p->row == 1) {
    pack_rows(p, panels, first, last, source, target);
    return;
  }
  for (int64_t panel = first; panel < last; panel++) {
    const int64_t row = panel_start(p->rows, panels, panel), rows = panel_start(p->rows, panels, panel + 1) - row;
    const float *from = source + row * p->row;
    float *to = target + p->start * rows;
    switch (rows) {
    case 1: pack_panel(p, 1, from, to); break;
    case 2: pack_panel(p, 2, from, to); break;
    case 3: pack_panel(p, 3, from, to); break;
    case 4: pack_panel(p, 4, from, to); break;
    case 5: pack_panel(p, 5, from, to); break;
    case 6: pack_panel(p, 6, from, to); break;
    case 7: pack_panel(p, 7, from, to); break;
    default: pack_panel(p, 8, from, to); break;
    }
    target += rows * p->depth;
  }
}

static void pack(const void *parameters, const pc_work *work) {
  const pc_pack *p = parameters;
  const int64_t panels = panels_of(p->rows, p->height);
  const int64_t first = part_start(panels, work->part, work->parts);
  const int64_t last = part_start(panels, work->part + 1, work->parts);
  float *target = out_tile(&p->target, work) + panel_start(p->rows, panels, first) * p->depth;
  pack_panels(p, panels, first, last, in_tile(&p->source, work), target);
}
