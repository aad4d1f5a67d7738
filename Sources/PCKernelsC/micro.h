// The micro-kernel: a block of R rows of weights times N vectors of the source, held in registers.
//
//     sum[r][n] = Σ over three nested counts of weights[r] · source[n]
//
// Each count steps both pointers by a constant. A matrix product is one such count; a convolution is all three (tap rows,
// tap columns and channels), with whatever lies outside of the image left out of the counts. Each weight is read once and
// spread over a vector, each source vector is read once for R rows. R × N is as large as the registers allow: with 16
// registers 6 × 2 leaves two for the source and one for the weight, with 32 registers 8 × 2.
//
// Callers: `matrix`, `convolution` (weights packed: the R weights are neighbours) and `outer` (weights R rows apart).

typedef struct {
  int64_t count[3], weight[3], source[3];
} Loops;

INLINE void multiply(
    const int R, const int N, const Loops *loops, const float *weights, const int64_t row, const float *source,
    const int64_t source_step, float *result, int64_t result_row, int64_t result_step, float alpha, float beta) {
  V sum[MOST_ROWS][2];
  UNROLL for (int r = 0; r < R; r++) {
    UNROLL for (int n = 0; n < N; n++) sum[r][n] = splat(0);
  }
  const int64_t weight_step = loops->weight[2], step = loops->source[2];
  for (int64_t i = 0; i < loops->count[0]; i++) {
    const float *wi = weights + i * loops->weight[0], *si = source + i * loops->source[0];
    for (int64_t j = 0; j < loops->count[1]; j++) {
      const float *w = wi + j * loops->weight[1], *s = si + j * loops->source[1];
      for (int64_t k = loops->count[2]; k > 0; k--) {
        V x[2];
        UNROLL for (int n = 0; n < N; n++) x[n] = load(s + n * source_step);
        UNROLL for (int r = 0; r < R; r++) {
          V a = splat(w[r * row]);
          UNROLL for (int n = 0; n < N; n++) sum[r][n] += a * x[n];
        }
        w += weight_step, s += step;
      }
    }
  }
  UNROLL for (int r = 0; r < R; r++) {
    UNROLL for (int n = 0; n < N; n++) {
      float *at = result + r * result_row + n * result_step;
      V value = alpha * sum[r][n];
      store(at, beta == 0 ? value : beta * load(at) + value);
    }
  }
}

typedef void (*Micro)(
    const Loops *loops, const float *weights, int64_t row, const float *source, int64_t source_step, float *result,
    int64_t result_row, int64_t result_step, float alpha, float beta);

#define MICRO(R)                                                                                                    \
  static void packed_##R##_1(                                                                                       \
      const Loops *l, const float *w, int64_t row, const float *s, int64_t ss, float *y, int64_t yr, int64_t ys,    \
      float alpha, float beta) {                                                                                    \
    (void)row;                                                                                                      \
    multiply(R, 1, l, w, 1, s, ss, y, yr, ys, alpha, beta);                                                         \
  }                                                                                                                 \
  static void packed_##R##_2(                                                                                       \
      const Loops *l, const float *w, int64_t row, const float *s, int64_t ss, float *y, int64_t yr, int64_t ys,    \
      float alpha, float beta) {                                                                                    \
    (void)row;                                                                                                      \
    multiply(R, 2, l, w, 1, s, ss, y, yr, ys, alpha, beta);                                                         \
  }                                                                                                                 \
  static void strided_##R##_2(                                                                                      \
      const Loops *l, const float *w, int64_t row, const float *s, int64_t ss, float *y, int64_t yr, int64_t ys,    \
      float alpha, float beta) {                                                                                    \
    multiply(R, 2, l, w, row, s, ss, y, yr, ys, alpha, beta);                                                       \
  }

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

#if MOST_ROWS > 6
#define MICROS(kind, N)                                                                                        \
  {                                                                                                            \
    0, kind##_1_##N, kind##_2_##N, kind##_3_##N, kind##_4_##N, kind##_5_##N, kind##_6_##N, kind##_7_##N,      \
        kind##_8_##N                                                                                           \
  }
#elif MOST_ROWS > 4
#define MICROS(kind, N) \
  { 0, kind##_1_##N, kind##_2_##N, kind##_3_##N, kind##_4_##N, kind##_5_##N, kind##_6_##N }
#else
#define MICROS(kind, N) \
  { 0, kind##_1_##N, kind##_2_##N, kind##_3_##N, kind##_4_##N }
#endif

/// By rows; one and two vectors.
static const Micro packed_one[MOST_ROWS + 1] = MICROS(packed, 1);
static const Micro packed_two[MOST_ROWS + 1] = MICROS(packed, 2);
static const Micro strided_two[MOST_ROWS + 1] = MICROS(strided, 2);

// MARK: Panels

INLINE int64_t panels_of(int64_t rows) { return (rows + MOST_ROWS - 1) / MOST_ROWS; }
INLINE int64_t panel_start(int64_t rows, int64_t panels, int64_t panel) { return rows * panel / panels; }

static void pack(const void *parameters, const pc_work *work) {
  const pc_pack *p = parameters;
  int64_t panels = panels_of(p->rows);
  int64_t depth = p->count0 * p->count1 * p->count2;
  int64_t last = part_start(panels, work->part + 1, work->parts);
  for (int64_t panel = part_start(panels, work->part, work->parts); panel < last; panel++) {
    int64_t first = panel_start(p->rows, panels, panel);
    int64_t rows = panel_start(p->rows, panels, panel + 1) - first;
    const float *source = p->source + first * p->row;
    float *target = p->target + first * depth;
    for (int64_t i = 0; i < p->count0; i++)
      for (int64_t j = 0; j < p->count1; j++)
        for (int64_t k = 0; k < p->count2; k++) {
          const float *at = source + i * p->stride0 + j * p->stride1 + k * p->stride2;
          for (int64_t r = 0; r < rows; r++) *target++ = at[r * p->row];
        }
  }
}
