// The micro-kernel: a block of R rows of weights times N vectors of the source, held in registers.
//
//     sum[r][n] = Σ over three nested counts of weights[r] · source[n]
//
// Each count steps both pointers by a constant. A matrix product is one such count; a convolution is all three (tap rows,
// tap columns and channels), with whatever lies outside of the image left out of the counts. Each weight is read once and
// spread over a vector, each source vector is read once for R rows. R × N is as large as the registers allow: with 16
// registers 6 × 2 leaves two for the source and one for the weight, with 32 registers 8 × 2.
//
// Weights are packed: the R weights of a step are neighbours. Callers: `matrix`, `outer`, `convolution`.

typedef struct {
  int64_t count[3], weight[3], source[3];
} Loops;

INLINE void multiply(
    const int R, const int N, const Loops *loops, const float *weights, const float *source, const int64_t source_step,
    float *result, int64_t result_row, int64_t result_step, float alpha, float beta) {
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
          V a = splat(w[r]);
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
    const Loops *loops, const float *weights, const float *source, int64_t source_step, float *result,
    int64_t result_row, int64_t result_step, float alpha, float beta);

#define MICRO_OF(R, N)                                                                                            \
  static void micro_##R##_##N(                                                                                    \
      const Loops *loops, const float *weights, const float *source, int64_t source_step, float *result,          \
      int64_t result_row, int64_t result_step, float alpha, float beta) {                                         \
    multiply(R, N, loops, weights, source, source_step, result, result_row, result_step, alpha, beta);            \
  }
#define MICRO(R) MICRO_OF(R, 1) MICRO_OF(R, 2)

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

// MARK: Panels

INLINE int64_t panels_of(int64_t rows) { return (rows + MOST_ROWS - 1) / MOST_ROWS; }
INLINE int64_t panel_start(int64_t rows, int64_t panels, int64_t panel) { return rows * panel / panels; }

INLINE void pack_panel(const pc_pack *p, const int rows, const float *source, float *target) {
  const int64_t row = p->row, step = p->stride2;
  for (int64_t i = 0; i < p->count0; i++)
    for (int64_t j = 0; j < p->count1; j++) {
      const float *at = source + i * p->stride0 + j * p->stride1;
      for (int64_t k = 0; k < p->count2; k++, at += step, target += rows)
        UNROLL for (int r = 0; r < rows; r++) target[r] = at[r * row];
    }
}

/// Where the rows of a step are neighbours, panels side by side are filled step by step: their source is one piece then.
enum { panels_abreast = 16 };

static void pack_rows(const pc_pack *p, const int64_t panels, int64_t first, int64_t last, const pc_work *work) {
  const float *source = in_tile(&p->source, work);
  float *target = out_tile(&p->target, work);
  const int64_t start = panel_start(p->rows, panels, first);
  int64_t bounds[panels_abreast + 1];
  for (int64_t panel = first; panel <= last; panel++)
    bounds[panel - first] = panel_start(p->rows, panels, panel) - start;
  int64_t depth = p->start;
  for (int64_t i = 0; i < p->count0; i++)
    for (int64_t j = 0; j < p->count1; j++)
      for (int64_t k = 0; k < p->count2; k++, depth++) {
        const float *at = source + start + i * p->stride0 + j * p->stride1 + k * p->stride2;
        for (int64_t panel = 0; panel < last - first; panel++) {
          const int64_t row = bounds[panel], rows = bounds[panel + 1] - row;
          float *to = target + (start + row) * p->depth + depth * rows;
          if (rows == MOST_ROWS) {
            UNROLL for (int r = 0; r < MOST_ROWS; r++) to[r] = at[row + r];
          } else {
            for (int64_t r = 0; r < rows; r++) to[r] = at[row + r];
          }
        }
      }
}

static void pack(const void *parameters, const pc_work *work) {
  const pc_pack *p = parameters;
  int64_t panels = panels_of(p->rows);
  int64_t panel = part_start(panels, work->part, work->parts);
  int64_t last = part_start(panels, work->part + 1, work->parts);
  if (p->row == 1) {
    for (; panel < last; panel += panels_abreast)
      pack_rows(p, panels, panel, panel + panels_abreast < last ? panel + panels_abreast : last, work);
    return;
  }
  for (; panel < last; panel++) {
    int64_t first = panel_start(p->rows, panels, panel);
    int64_t rows = panel_start(p->rows, panels, panel + 1) - first;
    const float *source = in_tile(&p->source, work) + first * p->row;
    float *target = out_tile(&p->target, work) + first * p->depth + p->start * rows;
    switch (rows) {
    case 1: pack_panel(p, 1, source, target); break;
    case 2: pack_panel(p, 2, source, target); break;
    case 3: pack_panel(p, 3, source, target); break;
    case 4: pack_panel(p, 4, source, target); break;
    case 5: pack_panel(p, 5, source, target); break;
    case 6: pack_panel(p, 6, source, target); break;
    case 7: pack_panel(p, 7, source, target); break;
    default: pack_panel(p, 8, source, target); break;
    }
  }
}
