// Products on a matrix unit, where the set has one (AMX): it multiplies 16 × 32 by 32 × 16 numbers of type bfloat16, which is the upper
// half of a float, and sums in float.
//
// A float is the exact sum of three bfloat16, its thirds: x = x₀ + x₁ + x₂, each the nearest to what those before it leave, so that
// |x₁| ≤ 2⁻⁹ |x| and |x₂| ≤ 2⁻¹⁸ |x|. Of the nine products of x · y six are summed; x₁ y₂, x₂ y₁ and x₂ y₂, left out, are together
// about 2⁻²⁶ |x y| at most, a quarter of what rounding a float costs. Infinities become NaN: infinity − infinity is left for the second third.
//
// Blocks of the depth are 32 numbers deep. Weights lie in panels of up to 32 rows, [block][third][2 squares][16 rows][32]; what they are
// multiplied by, the source, in squares of 16 lanes, [16 pairs of the depth][16 lanes][2], a third after the other.

enum {
  square = PC_THIRDS_LANES, block_depth = PC_THIRDS_DEPTH, pairs_of_block = block_depth / 2, square_bytes = 1024,
  thirds_rows = PC_THIRDS_ROWS, most_squares = PC_THIRDS_SQUARES
};

/// Eight registers of 16 rows of 64 bytes; to be given back by `_tile_release`, or the system saves them with every change of threads.
INLINE void take_matrix_unit(void) {
  static const struct {
    uint8_t palette, start, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
  } shape __attribute__((aligned(64))) = {
      1, 0, {0}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16}};
  _tile_loadconfig(&shape);
}

INLINE int64_t blocks_of(int64_t depth) { return (depth + block_depth - 1) / block_depth; }

// MARK: Into thirds

/// The thirds of two numbers of each lane, to `target` and `third` bytes further on each. Two neighbours of the depth share 32 bits.
INLINE void store_thirds(V even, V odd, char *target, int64_t third) {
  UNROLL for (int t = 0; t < 3; t++) {
    const __m512i both = (__m512i)_mm512_cvtne2ps_pbh((__m512)odd, (__m512)even);
    const __m512i order = _mm512_set_epi16(
        31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16,
        0);
    const I paired = (I)_mm512_permutexvar_epi16(order, both);
    *(I *)(target + t * third) = paired;
    if (t == 2) return;
    even -= (V)(paired << 16);
    odd -= (V)(paired & (int32_t)0xffff0000);
  }
}

/// `depth` numbers of a square of lanes, which are `step` floats apart, and 0 up to a multiple of 32 of them. The third and the block after
/// are `third` and `block` bytes further on.
INLINE void source_thirds(
    const float *source, int64_t step, int64_t depth, char *target, int64_t third, int64_t block) {
  for (int64_t k = 0; k < depth; k += block_depth, target += block)
    for (int64_t p = 0; p < pairs_of_block; p++) {
      const int64_t at = k + 2 * p;
      V even = at < depth ? load(source + at * step) : splat(0);
      V odd = at + 1 < depth ? load(source + (at + 1) * step) : splat(0);
      store_thirds(even, odd, target + p * 64, third);
    }
}

/// A row of a square: 32 neighbours of the depth. The thirds are `third` bytes apart.
INLINE void row_thirds(V low, V high, char *target, int64_t third) {
  UNROLL for (int t = 0; t < 3; t++) {
    const __m512i both = (__m512i)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low);
    *(__m512i *)(target + t * third) = both;
    if (t == 2) return;
    low -= (V)(_mm512_cvtepu16_epi32(_mm512_castsi512_si256(both)) << 16);
    high -= (V)(_mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(both, 1)) << 16);
  }
}

/// Numbers of the depth that are brought together before they are put into thirds: what was just stored by fours can't be loaded by
/// sixteens at once.
enum { gathered = 4 * block_depth };

/// `steps` numbers of a run, from `k` on, of `count` rows; 0 for what is missing from whole blocks and panels.
static void gather_rows(
    const pc_pack_thirds *p, const float *run, int64_t count, int64_t k, int64_t steps, float rows[thirds_rows][gathered]) {
  if (count < thirds_rows || steps % block_depth != 0) memset(rows, 0, sizeof(float) * thirds_rows * gathered);
  if (p->count2 == 1 && p->stride3 == 1) {
    for (int64_t r = 0; r < count; r++) memcpy(rows[r], run + r * p->row + k, sizeof(float) * (size_t)steps);
    return;
  }
  const bool is_by_rows = p->count2 == 1 && p->row == 1;
  const int64_t whole_rows = is_by_rows ? count / 4 * 4 : 0, whole_steps = is_by_rows ? steps / 4 * 4 : 0;
  for (int64_t d = 0; d < whole_steps; d += 4)
    for (int64_t r = 0; r < whole_rows; r += 4)
      transpose_quads(run + (k + d) * p->stride3 + r, p->stride3, rows[r] + d, gathered);
  for (int64_t d = 0; d < steps; d++) {
    const float *at = run + (k + d) / p->count3 * p->stride2 + (k + d) % p->count3 * p->stride3;
    for (int64_t r = d < whole_steps ? whole_rows : 0; r < count; r++) rows[r][d] = at[r * p->row];
  }
}

/// Panels `first ..< last` of `thirds_rows` rows at most: see `pc_pack_thirds`.
static void pack_panels_of_thirds(
    const pc_pack_thirds *p, int64_t panels, int64_t first, int64_t last, const float *source, char *target) {
  float rows[thirds_rows][gathered] __attribute__((aligned(64)));
  const int64_t depth = p->count2 * p->count3;
  for (int64_t panel = first; panel < last; panel++) {
    const int64_t start = panel_start(p->rows, panels, panel), count = panel_start(p->rows, panels, panel + 1) - start;
    for (int64_t i = 0; i < p->count0; i++)
      for (int64_t j = 0; j < p->count1; j++) {
        const float *run = source + start * p->row + i * p->stride0 + j * p->stride1;
        for (int64_t k = 0; k < depth; k += gathered) {
          const int64_t steps = depth - k < gathered ? depth - k : gathered;
          // Rows that lie as they are wanted are read where they are.
          const bool is_ready =
              p->count2 == 1 && p->stride3 == 1 && count == thirds_rows && steps % block_depth == 0;
          if (!is_ready) gather_rows(p, run, count, k, steps, rows);
          const float *from = is_ready ? run + k : rows[0];
          const int64_t row = is_ready ? p->row : gathered;
          for (int64_t b = 0; b < steps; b += block_depth, target += 6 * square_bytes)
            for (int64_t r = 0; r < thirds_rows; r++)
              row_thirds(
                  load(from + r * row + b), load(from + r * row + b + W),
                  target + r / square * square_bytes + r % square * 64, 2 * square_bytes);
        }
      }
  }
}

static void pack_thirds(const void *parameters, const pc_work *work) {
  const pc_pack_thirds *p = parameters;
  const int64_t panels = panels_of(p->rows, thirds_rows);
  const int64_t first = part_start(panels, work->part, work->parts);
  const int64_t last = part_start(panels, work->part + 1, work->parts);
  const int64_t panel_bytes = p->count0 * p->count1 * blocks_of(p->count2 * p->count3) * 6 * square_bytes;
  pack_panels_of_thirds(p, panels, first, last, p->source, (char *)p->target + first * panel_bytes);
}

// MARK: Sums

/// Where a source's blocks are, in bytes: runs of blocks, some `step` apart at each of the starts, and its thirds.
typedef struct {
  int64_t starts, count, blocks;
  const int64_t *start;
  int64_t step, block, third;
} Runs;

// Where another program runs on the core's second thread, instructions of the matrix unit that follow one another at once wait: a product
// takes 16 ns in place of 6, but 8 with eight instructions of any kind, even empty ones, between it and the next. So each is followed by some, and
// those after products also ask for the weights of the next block.

#define APART __asm__ volatile("nop; nop; nop; nop; nop; nop; nop; nop");
#define LOAD_WEIGHTS(tile, s, t) _tile_loadd(tile, a + ((t) * 2 + (s)) * square_bytes, 64); APART
#define LOAD_SOURCE(tile, n, t) _tile_loadd(tile, b[n] + at + (t) * runs.third, 64); APART
/// `step` counts the products of a block, of which each asks for four lines of the next block's weights.
#define ADD(step, sum, weights, source)                                                                       \
  _tile_dpbf16ps(sum, weights, source);                                                                       \
  UNROLL for (int l = 0; l < 4; l++) __builtin_prefetch(a + 6 * square_bytes + (4 * (step) + l) * 64, 0, 3);  \
  __asm__ volatile("nop; nop; nop; nop; nop");

/// For each block, with weights at `a` and the source at `b[n] + at`.
#define FOR_BLOCKS(...)                                                                     \
  for (int64_t i = 0; i < runs.starts; i++)                                                 \
    for (int64_t j = 0; j < runs.count; j++) {                                              \
      int64_t at = runs.start[i] + j * runs.step;                                           \
      for (int64_t k = 0; k < runs.blocks; k++, a += 6 * square_bytes, at += runs.block) {  \
        __VA_ARGS__                                                                         \
      }                                                                                     \
    }

#define CLEAR_SUMS _tile_zero(0); _tile_zero(1); _tile_zero(2); _tile_zero(3);

// Every sum adds up its products in the same order, whatever goes beside it: of thirds 0 · 2, 0 · 1, 1 · 1, 1 · 0, 0 · 0 and 2 · 0.

/// Sums 0 to 3: [square of rows][square of lanes]. Loads stand between products that do not wait for them.
INLINE void sums_2_2(const Runs runs, const char *a, const char *const *b) {
  CLEAR_SUMS
  FOR_BLOCKS(
      LOAD_WEIGHTS(4, 0, 0) LOAD_SOURCE(6, 0, 2) ADD(0, 0, 4, 6) LOAD_SOURCE(7, 1, 2) ADD(1, 1, 4, 7) LOAD_WEIGHTS(5, 1, 0)
      ADD(2, 2, 5, 6) LOAD_SOURCE(6, 0, 1) ADD(3, 3, 5, 7) LOAD_SOURCE(7, 1, 1)
      ADD(4, 0, 4, 6) ADD(5, 2, 5, 6) ADD(6, 1, 4, 7) LOAD_WEIGHTS(4, 0, 1) ADD(7, 3, 5, 7) LOAD_WEIGHTS(5, 1, 1)
      ADD(8, 0, 4, 6) ADD(9, 2, 5, 6) LOAD_SOURCE(6, 0, 0) ADD(10, 1, 4, 7) ADD(11, 3, 5, 7) LOAD_SOURCE(7, 1, 0)
      ADD(12, 0, 4, 6) ADD(13, 1, 4, 7) LOAD_WEIGHTS(4, 0, 0) ADD(14, 2, 5, 6) ADD(15, 3, 5, 7) LOAD_WEIGHTS(5, 1, 0)
      ADD(16, 0, 4, 6) ADD(17, 1, 4, 7) LOAD_WEIGHTS(4, 0, 2) ADD(18, 2, 5, 6) ADD(19, 3, 5, 7) LOAD_WEIGHTS(5, 1, 2)
      ADD(20, 0, 4, 6) ADD(21, 1, 4, 7) ADD(22, 2, 5, 6) ADD(23, 3, 5, 7))
}

/// Sums 0 to 3: [square of lanes].
INLINE void sums_1_4(const Runs runs, const char *a, const char *const *b) {
  CLEAR_SUMS
#define ADD_SQUARE(n)                                                                                                 \
  LOAD_SOURCE(7, n, 2) ADD(6 * (n), n, 4, 7) LOAD_SOURCE(7, n, 1) ADD(6 * (n) + 1, n, 4, 7) ADD(6 * (n) + 2, n, 5, 7) \
      LOAD_SOURCE(7, n, 0) ADD(6 * (n) + 3, n, 5, 7) ADD(6 * (n) + 4, n, 4, 7) ADD(6 * (n) + 5, n, 6, 7)
  FOR_BLOCKS(
      LOAD_WEIGHTS(4, 0, 0) LOAD_WEIGHTS(5, 0, 1) LOAD_WEIGHTS(6, 0, 2) ADD_SQUARE(0) ADD_SQUARE(1) ADD_SQUARE(2)
      ADD_SQUARE(3))
#undef ADD_SQUARE
}

/// Sums 0 and 1: [square of rows].
INLINE void sums_2_1(const Runs runs, const char *a, const char *const *b) {
  CLEAR_SUMS
  FOR_BLOCKS(
      LOAD_WEIGHTS(4, 0, 0) LOAD_SOURCE(6, 0, 2) ADD(0, 0, 4, 6) LOAD_WEIGHTS(5, 1, 0) ADD(1, 1, 5, 6)
      LOAD_SOURCE(7, 0, 1) ADD(2, 0, 4, 7) ADD(3, 1, 5, 7)
      LOAD_WEIGHTS(2, 0, 1) ADD(4, 0, 2, 7) LOAD_WEIGHTS(3, 1, 1) ADD(5, 1, 3, 7)
      LOAD_SOURCE(6, 0, 0) ADD(6, 0, 2, 6) ADD(7, 1, 3, 6) ADD(8, 0, 4, 6) ADD(9, 1, 5, 6)
      LOAD_WEIGHTS(4, 0, 2) ADD(10, 0, 4, 6) LOAD_WEIGHTS(5, 1, 2) ADD(11, 1, 5, 6))
}

/// Sums 0 and 1: [square of lanes].
INLINE void sums_1_2(const Runs runs, const char *a, const char *const *b) {
  CLEAR_SUMS
  FOR_BLOCKS(
      LOAD_WEIGHTS(4, 0, 0) LOAD_SOURCE(6, 0, 2) ADD(0, 0, 4, 6) LOAD_SOURCE(7, 1, 2) ADD(1, 1, 4, 7)
      LOAD_WEIGHTS(5, 0, 1) LOAD_SOURCE(6, 0, 1) ADD(2, 0, 4, 6) ADD(3, 0, 5, 6)
      LOAD_SOURCE(7, 1, 1) ADD(4, 1, 4, 7) ADD(5, 1, 5, 7)
      LOAD_SOURCE(6, 0, 0) ADD(6, 0, 5, 6) ADD(7, 0, 4, 6) LOAD_SOURCE(7, 1, 0) ADD(8, 1, 5, 7) ADD(9, 1, 4, 7)
      LOAD_WEIGHTS(5, 0, 2) ADD(10, 0, 5, 6) ADD(11, 1, 5, 7))
}

INLINE void sums_1_1(const Runs runs, const char *a, const char *const *b) {
  CLEAR_SUMS
  FOR_BLOCKS(
      LOAD_WEIGHTS(4, 0, 0) LOAD_SOURCE(6, 0, 2) ADD(0, 0, 4, 6) LOAD_SOURCE(7, 0, 1) ADD(1, 0, 4, 7)
      LOAD_WEIGHTS(5, 0, 1) ADD(2, 0, 5, 7) LOAD_SOURCE(6, 0, 0) ADD(3, 0, 5, 6) ADD(4, 0, 4, 6)
      LOAD_WEIGHTS(5, 0, 2) ADD(5, 0, 5, 6))
}

/// What sums become, and where: `result[n]` of each square of lanes, with rows `row` apart. `factor` and `bias` as in `multiply` and
/// `multiply_plain`.
typedef struct {
  float *result[most_squares];
  const float *factor[most_squares];
  int64_t row;
  const float *bias;
  float alpha, beta;
} Finish;

INLINE void finish_square(const Finish *f, int64_t n, int64_t first, int64_t rows, const float *sums) {
  for (int64_t r = 0; r < rows; r++) {
    V sum = load(sums + r * square);
    const int64_t at = (first + r) * f->row;
    if (f->factor[n]) sum *= load(f->factor[n] + at);
    if (f->bias)
      store(f->result[n] + at, blended(f->result[n] + at, sum, f->beta) + splat(f->bias[first + r]));
    else
      blend(f->result[n] + at, 1, 0, sum, f->alpha, f->beta);
  }
}

/// A panel of `rows` rows times `count` squares of lanes.
static void panel_of_thirds(
    const Runs *runs, int64_t rows, const char *a, int64_t count, const char *const *b, const Finish *f) {
  float sums[4][square * square] __attribute__((aligned(64)));
  const int64_t height = rows > square ? 2 : 1;
  for (int64_t n = 0, width; n < count; n += width) {
    const int64_t left = count - n;
    width = height == 1 && left >= 4 ? 4 : left >= 2 ? 2 : 1;
    if (height == 2 && width == 2) sums_2_2(*runs, a, b + n);
    else if (height == 2) sums_2_1(*runs, a, b + n);
    else if (width == 4) sums_1_4(*runs, a, b + n);
    else if (width == 2) sums_1_2(*runs, a, b + n);
    else sums_1_1(*runs, a, b + n);
    _tile_stored(0, sums[0], 64);
    _tile_stored(1, sums[1], 64);
    if (height * width > 2) {
      _tile_stored(2, sums[2], 64);
      _tile_stored(3, sums[3], 64);
    }
    for (int64_t v = 0; v < width; v++) {
      finish_square(f, n + v, 0, height == 2 ? square : rows, sums[v]);
      if (height == 2) finish_square(f, n + v, square, rows - square, sums[width + v]);
    }
  }
}

// MARK: Dense layers

/// Some squares of the source in thirds, and where they go.
typedef struct {
  int64_t count;
  const char *source[most_squares];
  Finish finish;
} Squares;

/// Panels `first ..< last`, whose weights lie at `weights` and on, times these squares.
static void panels_of_squares(
    const pc_matrix *m, const char *weights, int64_t first, int64_t last, const Squares *squares) {
  const int64_t panels = panels_of(m->rows, thirds_rows), blocks = blocks_of(m->depth), start = 0;
  const Runs runs = {1, 1, blocks, &start, 0, 3 * square_bytes, square_bytes};
  for (int64_t panel = first; panel < last; panel++, weights += blocks * 6 * square_bytes) {
    const int64_t row = panel_start(m->rows, panels, panel), rows = panel_start(m->rows, panels, panel + 1) - row;
    Finish finish = squares->finish;
    for (int64_t n = 0; n < squares->count; n++) finish.result[n] += row * finish.row;
    if (finish.bias) finish.bias += row;
    panel_of_thirds(&runs, rows, weights, squares->count, squares->source, &finish);
  }
}

/// Bytes of a panel's weights.
INLINE int64_t panel_bytes(const pc_matrix *m) { return blocks_of(m->depth) * 6 * square_bytes; }

/// The squares of some columns of some tiles, whose thirds go to scratch memory.
INLINE Squares squares_of(
    const pc_matrix *m, const pc_work *work, const pc_group *group, int64_t tile, int64_t column, int64_t count) {
  Squares squares = {
      .finish = {
          .row = m->result_row, .bias = m->bias, .alpha = work->coefficients[m->alpha],
          .beta = work->coefficients[m->beta]}};
  char *thirds = (char *)work->scratch;
  for (int64_t c = 0; c < count; c++)
    for (int64_t v = 0; v < m->lanes; v += square, thirds += blocks_of(m->depth) * 3 * square_bytes) {
      // Of a single column, tiles go beside one another.
      const int64_t at_tile = m->columns == 1 ? tile + c : tile, at_column = m->columns == 1 ? 0 : column + c;
      source_thirds(
          m->source.base + group->source + at_tile * m->source.tile + at_column * m->source_column + v, m->source_depth,
          m->depth, thirds, square_bytes, 3 * square_bytes);
      squares.source[squares.count] = thirds;
      squares.finish.result[squares.count++] =
          m->result.base + group->result + at_tile * m->result.tile + at_column * m->result_column + v;
    }
  return squares;
}

static void matrix_thirds(const void *parameters, const pc_work *work) {
  const pc_matrix *m = parameters;
  const int64_t panels = panels_of(m->rows, thirds_rows), together = most_squares * square / m->lanes;
  const int64_t first = part_start(panels, work->part, work->parts);
  const int64_t last = part_start(panels, work->part + 1, work->parts);
  const bool is_single = m->columns == 1;
  const int64_t tiles = is_single ? 1 : work->tiles, columns = is_single ? work->tiles : m->columns;
  take_matrix_unit();
  for (const pc_group *group = m->group; group < m->group + m->groups; group++)
    for (int64_t tile = 0; tile < tiles; tile++)
      for (int64_t c = 0; c < columns; c += together) {
        const int64_t count = columns - c < together ? columns - c : together;
        const int64_t at = work->tile + (is_single ? c : tile);
        const Squares squares = squares_of(m, work, group, at, c, count);
        panels_of_squares(
            m, (const char *)(m->weights + group->weights) + first * panel_bytes(m), first, last, &squares);
      }
  _tile_release();
}

static void matrix_thirds_by_rows(const void *parameters, const pc_work *work) {
  const pc_matrix_by_rows *b = parameters;
  const pc_matrix *m = b->matrix;
  pc_work own = *work;
  own.rows = m->rows;
  own.panels = own.parts = panels_of(own.rows, thirds_rows);
  const int64_t last = part_start(own.parts, work->part + 1, work->parts);
  take_matrix_unit();
  // A call has as many tiles as go beside one another, and a single group and column.
  const Squares squares = squares_of(m, work, m->group, work->tile, 0, work->tiles);
  for (own.part = part_start(own.parts, work->part, work->parts); own.part < last; own.part++) {
    panels_of_squares(
        m, (const char *)(m->weights + m->group->weights) + own.part * panel_bytes(m), own.part, own.part + 1, &squares);
    make_followers(&b->followers, &own);
  }
  _tile_release();
}

// MARK: Sums over the examples
//
// A tile's 32 lanes are a block of the depth, whatever they hold; both operands are put into thirds tile by tile.

/// Sixteen rows at most as a square of weights. Lanes that hold no example are 0.
INLINE void lanes_thirds(
    const float *source, int64_t row, int64_t rows, int64_t live, char *target, int64_t third) {
  float lanes[block_depth] __attribute__((aligned(64)));
  for (int64_t r = 0; r < square; r++) {
    const float *from = source + r * row;
    if (r >= rows) {
      memset(lanes, 0, sizeof lanes);
      from = lanes;
    } else if (live < block_depth) {
      memset(lanes, 0, sizeof lanes);
      memcpy(lanes, from, sizeof(float) * (size_t)live);
      from = lanes;
    }
    row_thirds(load(from), load(from + W), target + r * 64, third);
  }
}

static void examples_thirds(const void *parameters, const pc_work *work) {
  const pc_examples_thirds *e = parameters;
  const int64_t panels = panels_of(e->rows, e->as_columns ? square : thirds_rows);
  const int64_t block_bytes = (e->as_columns ? 3 : 6) * square_bytes;
  for (const pc_group *group = e->group; group < e->group + e->groups; group++)
    for (int64_t k = 0; k < e->depth; k++) {
      const float *source = in_tile(&e->source, work) + group->source + k * e->source_depth;
      char *target = (char *)(e->target + group->result) + (work->tile * e->all + e->before + k) * block_bytes;
      for (int64_t panel = 0; panel < panels; panel++, target += e->blocks * block_bytes) {
        if (e->as_columns) {
          float turned[3][square * square] __attribute__((aligned(64)));
          const int64_t first = panel * square;
          lanes_thirds(
              source + first * e->row, e->row, e->rows - first, work->live, (char *)turned, square_bytes);
          // Two lanes of a column share 32 bits: they are turned as one number.
          for (int64_t t = 0; t < 3; t++)
            for (int64_t i = 0; i < square; i += 4)
              for (int64_t j = 0; j < square; j += 4)
                transpose_quads(
                    turned[t] + i * square + j, square, (float *)(target + t * square_bytes) + j * square + i, square);
        } else {
          const int64_t first = panel_start(e->rows, panels, panel), end = panel_start(e->rows, panels, panel + 1);
          for (int64_t s = 0; s < 2; s++)
            lanes_thirds(
                source + (first + s * square) * e->row, e->row, end - first - s * square, work->live,
                target + s * square_bytes, 2 * square_bytes);
        }
      }
    }
}

/// Some neighbouring columns of a panel, `count` squares of them, over some blocks of the depth.
INLINE void outer_squares(
    const pc_outer_thirds *o, const pc_group *group, int64_t panels, int64_t panel, int64_t column, int64_t count,
    int64_t start, int64_t blocks, float *result, int64_t result_row, float alpha, float beta) {
  const int64_t first = panel_start(o->rows, panels, panel), none = 0;
  const Runs runs = {1, 1, blocks, &none, 0, 3 * square_bytes, square_bytes};
  const char *columns[most_squares];
  Finish finish = {.row = result_row, .alpha = alpha, .beta = beta};
  for (int64_t n = 0; n < count; n++) {
    columns[n] = (const char *)(o->y + group->source)
        + ((column / square + n) * o->blocks + start) * 3 * square_bytes;
    finish.result[n] = result + n * square;
  }
  panel_of_thirds(
      &runs, panel_start(o->rows, panels, panel + 1) - first,
      (const char *)(o->x + group->weights) + (panel * o->blocks + start) * 6 * square_bytes, count, columns, &finish);
}

/// Threads take rows of their own.
static void outer_thirds(const void *parameters, const pc_work *work) {
  const pc_outer_thirds *o = parameters;
  enum { together = most_squares * square, chunk = PC_OUTER_DEPTH / block_depth };
  const float alpha = work->coefficients[o->alpha], beta = work->coefficients[o->beta];
  const int64_t panels = panels_of(o->rows, thirds_rows), whole = o->columns / square * square;
  const int64_t first = part_start(panels, work->part, work->parts);
  const int64_t last = part_start(panels, work->part + 1, work->parts);
  take_matrix_unit();
  for (const pc_group *group = o->group; group < o->group + o->groups; group++)
    for (int64_t start = 0; start < o->blocks; start += chunk) {
      const int64_t blocks = o->blocks - start < chunk ? o->blocks - start : chunk;
      const float kept = start == 0 ? beta : 1;
      for (int64_t c = 0; c < o->columns; c += together)
        for (int64_t panel = first; panel < last; panel++) {
          const int64_t row = panel_start(o->rows, panels, panel), end = panel_start(o->rows, panels, panel + 1);
          float *result = o->result + group->result + row * o->result_row;
          const int64_t count = whole - c < together ? (whole - c) / square : most_squares;
          if (count > 0)
            outer_squares(
                o, group, panels, panel, c, count, start, blocks, result + c, o->result_row, alpha, kept);
          if (whole == o->columns || whole >= c + together) continue;
          float local[thirds_rows * square] __attribute__((aligned(64)));
          outer_squares(o, group, panels, panel, whole, 1, start, blocks, local, square, alpha, 0);
          for (int64_t r = 0; r < end - row; r++)
            add_row(o->columns - whole, local + r * square, result + r * o->result_row + whole, 1, kept);
        }
    }
  _tile_release();
}

// MARK: Convolutions
//
// The rows of the image are put into thirds as they are needed, with zeros around them, so that each position of the result meets all
// taps of its phase: a square's third is a ring of rows [column][pairs of channels][16 lanes][2], each with a block of zeros behind it for
// runs of taps that do not fill their last block. What fills it, zeros or the next column, meets weights of 0: a NaN there reaches the result.

INLINE int64_t ring_start(const pc_convolution_thirds *c, int64_t row, int64_t row_bytes) {
  const int64_t place = row % c->ring;
  return (place < 0 ? place + c->ring : place) * row_bytes;
}

static void image_row_thirds(
    const pc_convolution_thirds *c, const float *source, int64_t row, char *target, int64_t third, int64_t row_bytes) {
  const int64_t column_bytes = c->channels / 2 * 64, left = c->left * column_bytes;
  const int64_t end = left + c->image_width * column_bytes;
  const bool is_inside = row >= 0 && row < c->image_height;
  for (int64_t t = 0; t < 3; t++) {
    memset(target + t * third, 0, (size_t)(is_inside ? left : row_bytes));
    if (is_inside) memset(target + t * third + end, 0, (size_t)(row_bytes - end));
  }
  if (!is_inside) return;
  char *to = target + left;
  for (int64_t x = 0; x < c->image_width; x++)
    for (int64_t k = 0; k < c->channels; k += 2, to += 64) {
      const float *at = source + row * c->source_row + x * c->source_column + k * c->source_channel;
      store_thirds(load(at), load(at + c->source_channel), to, third);
    }
}

/// Threads that share one tile take rows of their own.
static void convolution_thirds(const void *parameters, const pc_work *work) {
  const pc_convolution_thirds *c = parameters;
  const int64_t column_bytes = c->channels / 2 * 64, row_bytes = c->padded_width * column_bytes + square_bytes;
  const int64_t third = c->ring * row_bytes, each = c->lanes / square;
  const int64_t panels = panels_of(c->rows, thirds_rows);
  const int64_t top = part_start(c->height, work->part, work->parts);
  const int64_t bottom = part_start(c->height, work->part + 1, work->parts);
  char *thirds = (char *)work->scratch;
  take_matrix_unit();
  for (int64_t g = 0; g < c->groups; g++) {
    const float *source = in_tile(&c->source, work) + g * c->source_group;
    bool is_filled = false;
    int64_t filled = 0;
    for (int64_t y = top; y < bottom; y++) {
      const pc_line line = c->vertical[y];
      const int64_t taps = line.phase < 0 ? 0 : c->vertical_taps[line.phase];
      const int64_t next = line.first + (taps - 1) * c->vertical_step + 1;
      for (int64_t r = is_filled && filled > line.first ? filled : line.first; taps > 0 && r < next; r++)
        for (int64_t v = 0; v < each; v++)
          image_row_thirds(
              c, source + v * square, r, thirds + 3 * v * third + ring_start(c, r, row_bytes), third, row_bytes);
      if (taps > 0 && (!is_filled || next > filled)) is_filled = true, filled = next;
      int64_t starts[PC_THIRDS_TAPS];
      for (int64_t i = 0; i < taps; i++) starts[i] = ring_start(c, line.first + i * c->vertical_step, row_bytes);
      for (int64_t panel = 0; panel < panels; panel++) {
        const int64_t first = panel_start(c->rows, panels, panel);
        const int64_t rows = panel_start(c->rows, panels, panel + 1) - first;
        const int64_t place = g * c->result_group + line.result + first * c->result_channel;
        float *result = out_tile(&c->result, work) + place;
        const float *factor = c->factor.base ? in_tile(&c->factor, work) + place : NULL;
        for (int64_t x = 0; x < c->width;) {
          const int64_t phase = c->horizontal[x].phase;
          const int64_t across = phase < 0 ? 0 : c->horizontal_taps[phase];
          const bool has_taps = taps > 0 && across > 0;
          const int64_t run = c->is_row_one_run ? across * c->channels : c->channels;
          Runs runs = {
              has_taps ? taps : 0, c->is_row_one_run ? 1 : across, blocks_of(run), starts, c->horizontal_step * column_bytes,
              square_bytes, third};
          Finish finish = {
              .row = c->result_channel, .alpha = work->coefficients[c->alpha], .beta = work->coefficients[c->beta]};
          const char *from[most_squares];
          int64_t count = 0;
          for (; x < c->width && count + each <= most_squares && c->horizontal[x].phase == phase; x++)
            for (int64_t v = 0; v < each; v++, count++) {
              const int64_t to = c->horizontal[x].result + v * square;
              from[count] = thirds + 3 * v * third + (c->left + c->horizontal[x].first) * column_bytes;
              finish.result[count] = result + to;
              finish.factor[count] = factor ? factor + to : NULL;
            }
          const char *weights = NULL;
          if (has_taps) {
            const pc_phase_weights own = c->weights[line.phase * c->horizontal_phases + phase];
            weights = (const char *)(own.base + g * own.group)
                + panel * runs.starts * runs.count * runs.blocks * 6 * square_bytes;
          }
          panel_of_thirds(&runs, rows, weights, count, from, &finish);
        }
      }
    }
  }
  _tile_release();
}
