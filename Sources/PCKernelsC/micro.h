// The micro-kernel: a block of R rows of weights times N vectors of the source, held in registers.
//
//     sum[r][n] = Σ over three nested counts of weights[r] · source[n]
//
// Each count steps both pointers by a constant. A matrix product is one such count; a convolution is all three (tap rows,
// tap columns and channels), with whatever lies outside of the image left out of the counts. Each weight is read once and
// spread over a vector, each source vector is read once for R rows. R × N is as large as the registers allow: with 16
// registers 6 × 2 or 3 × 4, with 32 registers 12 × 2 or 6 × 4.
//
// Weights are packed: the R weights of a step are neighbours. Callers: `matrix`, `outer`, `convolution`.
//
// Where another program runs on the core's second thread, the two share the front end and the load units, and multipliers wait for
// these. So some of the innermost steps are written out, which saves the loop's own instructions; and where a set has a wide block
// (`WIDE_ROWS` rows times `WIDE` vectors), it is taken for what fills it: of 3 × 4 a step is 3 weights, 4 vectors and 12
// multiply-adds, of 6 × 2 it is one load more. Multiply-adds that read memory themselves save instructions but load more often:
// slower.

typedef struct {
  int64_t count[3], weight[3], source[3];
} Loops;

/// Vectors of a wide block.
#define WIDE 4

/// How far apart the vectors of a block are: the two of a pair, and the two pairs.
typedef struct {
  int64_t vector, pair;
} Apart;

INLINE int64_t offset_of(const Apart apart, const int n) { return n % 2 * apart.vector + n / 2 * apart.pair; }

/// The sums of a wide block leave few registers: the compiler must not read the next vector of the source before the sums have taken
/// this one up.
#if defined(__x86_64__)
#define IN_TURN(x) __asm__ volatile("" : "+v"(x) : : "memory")
#else
#define IN_TURN(x) (void)(x)
#endif

/// The weights of a step are `row` apart.
INLINE void multiply_once(
    const int R, const int N, const float *weights, const int64_t row, const float *source, const Apart apart,
    V sum[MOST_ROWS][WIDE]) {
  if (N == WIDE) {
    V a[MOST_ROWS];
    UNROLL for (int n = 0; n < N; n++) {
      V x = load(source + offset_of(apart, n));
      UNROLL for (int r = 0; r < R; r++) {
        // Loads far apart: they come in their own time where another program reads beside this one.
        if (n == 0) a[r] = splat(weights[r * row]);
        sum[r][n] += a[r] * x;
        IN_TURN(sum[r][n]);
      }
    }
    return;
  }
  V x[2];
  UNROLL for (int n = 0; n < N; n++) x[n] = load(source + offset_of(apart, n));
  UNROLL for (int r = 0; r < R; r++) {
    V a = splat(weights[r * row]);
    UNROLL for (int n = 0; n < N; n++) sum[r][n] += a * x[n];
  }
}

/// Steps of the innermost count, `abreast` at a time, where the R weights of each follow those of the one before; returns how many are
/// left.
INLINE int64_t multiply_abreast(
    const int R, const int N, const int abreast, int64_t count, const float **weights, const float **source,
    const int64_t step, const Apart apart, V sum[MOST_ROWS][WIDE]) {
  for (; count >= abreast; count -= abreast, *weights += abreast * R, *source += abreast * step)
    UNROLL for (int u = 0; u < abreast; u++) multiply_once(R, N, *weights + u * R, 1, *source + u * step, apart, sum);
  return count;
}

/// The innermost count: R neighbouring weights a step, where `weight_step` is R.
INLINE void multiply_steps(
    const int R, const int N, int64_t count, const float *weights, int64_t weight_step, const float *source, int64_t step,
    const Apart apart, V sum[MOST_ROWS][WIDE]) {
  if (weight_step == R) {
    // Steps that the compiler knows cost no instructions.
    if (N == WIDE && step == WIDE * W)
      count = multiply_abreast(R, N, 8, count, &weights, &source, WIDE * W, apart, sum);
    count = multiply_abreast(R, N, 4, count, &weights, &source, step, apart, sum);
  }
  for (; count > 0; count--, weights += weight_step, source += step) multiply_once(R, N, weights, 1, source, apart, sum);
}

/// With `factor` (null: none), which lies as the result does, the sums are multiplied by it.
INLINE void multiply(
    const int R, const int N, const Loops *loops, const float *weights, const float *source, const Apart apart,
    float *result, int64_t result_row, const Apart result_apart, const float *factor, float alpha, float beta) {
  V sum[MOST_ROWS][WIDE];
  UNROLL for (int r = 0; r < R; r++) {
    UNROLL for (int n = 0; n < N; n++) {
      sum[r][n] = splat(0);
      __builtin_prefetch(result + r * result_row + offset_of(result_apart, n), 1, 3);
      if (factor) __builtin_prefetch(factor + r * result_row + offset_of(result_apart, n), 0, 3);
    }
  }
  for (int64_t i = 0; i < loops->count[0]; i++) {
    const float *wi = weights + i * loops->weight[0], *si = source + i * loops->source[0];
    for (int64_t j = 0; j < loops->count[1]; j++)
      multiply_steps(
          R, N, loops->count[2], wi + j * loops->weight[1], loops->weight[2], si + j * loops->source[1],
          loops->source[2], apart, sum);
  }
  if (factor) {
    UNROLL for (int r = 0; r < R; r++) {
      UNROLL for (int n = 0; n < N; n++) sum[r][n] *= load(factor + r * result_row + offset_of(result_apart, n));
    }
  }
  UNROLL for (int r = 0; r < R; r++) {
    UNROLL for (int n = 0; n < N; n++)
        blend(result + r * result_row + offset_of(result_apart, n), 1, 0, sum[r][n], alpha, beta);
  }
}

/// Sums over `count` steps of each of some tiles, whose weights lie as the tiles' lanes do: a row's one after the other, and rows `row`
/// apart. Of the source, steps follow one another.
INLINE void multiply_across(
    const int R, const int N, int64_t tiles, const int64_t count, const float *weights, const int64_t weights_tile,
    const int64_t row, const float *source, const int64_t source_tile, float *result, int64_t result_row, float alpha,
    float beta) {
  enum { abreast = 4 };
  const Apart apart = {W, 2 * W};
  V sum[MOST_ROWS][WIDE];
  UNROLL for (int r = 0; r < R; r++) {
    UNROLL for (int n = 0; n < N; n++) sum[r][n] = splat(0);
  }
  for (; tiles > 0; tiles--, weights += weights_tile, source += source_tile) {
    // The next tile's are elsewhere.
    UNROLL for (int r = 0; r < R; r++)
      for (int64_t l = 0; l < count; l += 16) __builtin_prefetch(weights + weights_tile + r * row + l);
    int64_t l = 0;
    for (; l + abreast <= count; l += abreast)
      UNROLL for (int u = 0; u < abreast; u++)
        multiply_once(R, N, weights + l + u, row, source + (l + u) * N * W, apart, sum);
    for (; l < count; l++) multiply_once(R, N, weights + l, row, source + l * N * W, apart, sum);
  }
  UNROLL for (int r = 0; r < R; r++) {
    UNROLL for (int n = 0; n < N; n++) blend(result + r * result_row + n * W, 1, 0, sum[r][n], alpha, beta);
  }
}

/// A single count, short enough for the calls around it to matter. With `bias` (null: none), a number for each row, alpha is 1.
INLINE void multiply_plain(
    const int R, const int N, int64_t depth, const float *weights, const float *source, int64_t step, const Apart apart,
    float *result, int64_t result_row, const Apart result_apart, float alpha, float beta, const float *bias) {
  V sum[MOST_ROWS][WIDE];
  UNROLL for (int r = 0; r < R; r++) {
    UNROLL for (int n = 0; n < N; n++) sum[r][n] = splat(0);
  }
  multiply_steps(R, N, depth, weights, R, source, step, apart, sum);
  if (bias) {
    UNROLL for (int r = 0; r < R; r++) {
      UNROLL for (int n = 0; n < N; n++) {
        float *at = result + r * result_row + offset_of(result_apart, n);
        store(at, blended(at, sum[r][n], beta) + splat(bias[r]));
      }
    }
    return;
  }
  UNROLL for (int r = 0; r < R; r++) {
    UNROLL for (int n = 0; n < N; n++)
        blend(result + r * result_row + offset_of(result_apart, n), 1, 0, sum[r][n], alpha, beta);
  }
}

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

// MARK: By rows and vectors

typedef void (*Micro)(
    const Loops *loops, const float *weights, const float *source, Apart apart, float *result, int64_t result_row,
    Apart result_apart, const float *factor, float alpha, float beta);

typedef void (*MicroPlain)(
    int64_t depth, const float *weights, const float *source, int64_t step, Apart apart, float *result,
    int64_t result_row, Apart result_apart, float alpha, float beta, const float *bias);

typedef void (*MicroPair)(
    int64_t depth, const float *weights, int64_t next, const float *source, int64_t source_step, float *result,
    int64_t result_row, float alpha, float beta);

typedef void (*MicroAcross)(
    int64_t tiles, int64_t count, const float *weights, int64_t weights_tile, int64_t row, const float *source,
    int64_t source_tile, float *result, int64_t result_row, float alpha, float beta);

/// Of tiles of 32 lanes, all distances are known.
#define MICRO_ACROSS(R, N)                                                                                             \
  static void micro_across_##R##_##N(                                                                                  \
      int64_t tiles, int64_t count, const float *weights, int64_t weights_tile, int64_t row, const float *source,      \
      int64_t source_tile, float *result, int64_t result_row, float alpha, float beta) {                               \
    if (row == 32)                                                                                                     \
      multiply_across(                                                                                                 \
          R, N, tiles, count, weights, weights_tile, 32, source, source_tile, result, result_row, alpha, beta);        \
    else                                                                                                               \
      multiply_across(                                                                                                 \
          R, N, tiles, count, weights, weights_tile, row, source, source_tile, result, result_row, alpha, beta);       \
  }

#define MICRO(R, N)                                                                                                   \
  static void micro_##R##_##N(                                                                                        \
      const Loops *loops, const float *weights, const float *source, Apart apart, float *result, int64_t result_row,  \
      Apart result_apart, const float *factor, float alpha, float beta) {                                             \
    multiply(R, N, loops, weights, source, apart, result, result_row, result_apart, factor, alpha, beta);             \
  }                                                                                                                   \
  static void micro_plain_##R##_##N(                                                                                  \
      int64_t depth, const float *weights, const float *source, int64_t step, Apart apart, float *result,             \
      int64_t result_row, Apart result_apart, float alpha, float beta, const float *bias) {                           \
    multiply_plain(R, N, depth, weights, source, step, apart, result, result_row, result_apart, alpha, beta, bias);   \
  }

#define MICRO_PAIR(R)                                                                                              \
  static void micro_pair_##R(                                                                                      \
      int64_t depth, const float *weights, int64_t next, const float *source, int64_t source_step, float *result,  \
      int64_t result_row, float alpha, float beta) {                                                               \
    multiply_pair(R, depth, weights, next, source, source_step, result, result_row, alpha, beta);                  \
  }

#define MICRO_1(R) MICRO(R, 1)
#define MICRO_2(R) MICRO(R, 2)
#define MICRO_4(R) MICRO(R, 4)
FOR_ROWS(MICRO_1)
FOR_ROWS(MICRO_2)
FOR_WIDE_ROWS(MICRO_4)
FOR_ROWS(MICRO_PAIR)
#define ACROSS_2(R) MICRO_ACROSS(R, 2)
#define ACROSS_4(R) MICRO_ACROSS(R, 4)
FOR_ROWS(ACROSS_2)
FOR_WIDE_ROWS(ACROSS_4)

#define ENTRY_1(R) micro_##R##_1,
#define ENTRY_2(R) micro_##R##_2,
#define ENTRY_4(R) micro_##R##_4,
#define PLAIN_1(R) micro_plain_##R##_1,
#define PLAIN_2(R) micro_plain_##R##_2,
#define PLAIN_4(R) micro_plain_##R##_4,
#define ENTRY_PAIR(R) micro_pair_##R,
#define ENTRY_ACROSS_2(R) micro_across_##R##_2,
#define ENTRY_ACROSS_4(R) micro_across_##R##_4,
/// By vectors, then by rows.
static const Micro micro[WIDE + 1][MOST_ROWS + 1] = {
    [1] = {0, FOR_ROWS(ENTRY_1)}, [2] = {0, FOR_ROWS(ENTRY_2)}, [WIDE] = {0, FOR_WIDE_ROWS(ENTRY_4)}};
static const MicroPlain micro_plain[WIDE + 1][MOST_ROWS + 1] = {
    [1] = {0, FOR_ROWS(PLAIN_1)}, [2] = {0, FOR_ROWS(PLAIN_2)}, [WIDE] = {0, FOR_WIDE_ROWS(PLAIN_4)}};
static const MicroPair micro_pair[MOST_ROWS + 1] = {0, FOR_ROWS(ENTRY_PAIR)};
static const MicroAcross micro_across[WIDE + 1][MOST_ROWS + 1] = {
    [2] = {0, FOR_ROWS(ENTRY_ACROSS_2)}, [WIDE] = {0, FOR_WIDE_ROWS(ENTRY_ACROSS_4)}};

/// Vectors that panels of this height at most take beside one another.
INLINE int64_t breadth_of(int64_t height) { return height == WIDE_ROWS ? WIDE : 2; }

/// Vectors of neighbouring columns that go together: how many they are, of how many columns, and how far apart they are.
typedef struct {
  int64_t count, columns;
  Apart source, result;
} Block;

/// The next of so many columns of so many vectors, which are `source` and `result` apart.
INLINE Block next_block(int64_t breadth, int64_t vectors, int64_t columns, int64_t source, int64_t result) {
  const int64_t all = vectors * columns, count = all >= breadth ? breadth : all >= 2 ? 2 : 1;
  if (vectors == 1) return (Block){count, count, {source, 2 * source}, {result, 2 * result}};
  if (vectors == 2) return (Block){count, count / 2, {W, source}, {W, result}};
  return (Block){count, 1, {W, 2 * W}, {W, 2 * W}};
}

// MARK: Panels

INLINE void pack_panel(const pc_pack *p, const int rows, const float *source, float *target) {
  const int64_t row = p->row, step = p->stride2;
  for (int64_t i = 0; i < p->count0; i++)
    for (int64_t j = 0; j < p->count1; j++) {
      const float *at = source + i * p->stride0 + j * p->stride1;
      int64_t k = 0;
      if (rows >= 4 && step == 1)
        for (; k + 4 <= p->count2; k += 4, at += 4, target += 4 * rows) {
          // Four rows at a time, and the last four: those that come twice are written twice.
          UNROLL for (int r = 0; r + 4 < rows; r += 4) transpose_quads(at + r * row, row, target + r, rows);
          transpose_quads(at + (rows - 4) * row, row, target + rows - 4, rows);
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
          switch (rows) {
#define STEPS_CASE(R) \
  case R: pack_steps(R, steps, at + row, p->stride2, to); break;
            FOR_ROWS(STEPS_CASE)
          }
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
#define PACK_CASE(R) \
  case R: pack_panel(p, R, from, to); break;
      FOR_ROWS(PACK_CASE)
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
