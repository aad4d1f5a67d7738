// Sums of products: `contract` with weights that all examples share, with both operands batched, and summed over examples.

// MARK: Shared weights

/// Blocks of the depth, where the source of a tile would not stay in the second-level cache, and a group of columns whose part of the
/// source does. Finer blocks would fit the first level, but to visit the results once more for each takes longer than that saves.
enum { whole_depth = 1600, depth_block = 1024, group_floats = 1 << 14 };

/// Some panels of the rows; their weights lie at `first_weights` and on. Of a single column, the tiles go beside one another.
static void matrix_panels(
    const pc_matrix *m, const pc_work *work, int64_t first_panel, int64_t last_panel, const float *first_weights,
    float beta) {
  const float alpha = work->coefficients[m->alpha];
  const int64_t panels = panels_of(m->rows, m->height), first_row = panel_start(m->rows, panels, first_panel);
  const int64_t blocks = m->depth > whole_depth ? (m->depth + depth_block - 1) / depth_block : 1;
  const int64_t breadth = breadth_of(m->height), vectors = m->lanes / W;
  const bool is_single = m->columns == 1;
  const int64_t source_step = is_single ? m->source.tile : m->source_column;
  const int64_t result_step = is_single ? m->result.tile : m->result_column;
  const int64_t all_columns = is_single ? work->tiles : m->columns, tiles = is_single ? 1 : work->tiles;
  const int64_t fitting = group_floats / (m->lanes * (m->depth / blocks + 1)) / WIDE * WIDE;
  const int64_t group = fitting < WIDE ? WIDE : fitting;
  for (int64_t g = 0; g < m->groups; g++)
    for (int64_t first_column = 0; first_column < all_columns; first_column += group) {
      const int64_t columns = all_columns - first_column < group ? all_columns - first_column : group;
      for (int64_t block = 0; block < blocks; block++) {
        const int64_t start = part_start(m->depth, block, blocks);
        const int64_t depth = part_start(m->depth, block + 1, blocks) - start;
        const float kept = block == 0 ? beta : 1;
        const float *source =
            in_tile(&m->source, work) + m->group[g].source + first_column * source_step + start * m->source_depth;
        float *result = out_tile(&m->result, work) + m->group[g].result + first_column * result_step;
        for (int64_t panel = first_panel; panel < last_panel; panel++) {
          const int64_t first = panel_start(m->rows, panels, panel);
          const int64_t rows = panel_start(m->rows, panels, panel + 1) - first;
          const float *weights = first_weights + m->group[g].weights + (first - first_row) * m->depth + start * rows;
          const float *bias = m->bias && block + 1 == blocks ? m->bias + first : NULL;
          const bool has_next = panel + 1 < last_panel && panel_start(m->rows, panels, panel + 2) - first == 2 * rows;
          if (columns == 1 && vectors == 1 && tiles == 1 && !bias && has_next) {
            micro_pair[rows](
                depth, weights, rows * m->depth, source, m->source_depth, result + first * m->result_row,
                m->result_row, alpha, kept);
            panel++;
            continue;
          }
          for (int64_t tile = 0; tile < tiles; tile++) {
            const float *x = source + tile * m->source.tile;
            float *y = result + tile * m->result.tile + first * m->result_row;
            for (int64_t c = 0; c < columns;) {
              const Block next = next_block(breadth, vectors, columns - c, source_step, result_step);
              for (int64_t v = 0; v < vectors; v += next.count)
                micro_plain[next.count][rows](
                    depth, weights, x + c * source_step + v * W, m->source_depth, next.source,
                    y + c * result_step + v * W, m->result_row, next.result, alpha, kept, bias);
              c += next.columns;
            }
          }
        }
      }
    }
}

/// Threads that share one tile take panels of their own.
static void matrix(const void *parameters, const pc_work *work) {
  const pc_matrix *m = parameters;
  const int64_t panels = panels_of(m->rows, m->height);
  const int64_t first = part_start(panels, work->part, work->parts);
  const int64_t last = part_start(panels, work->part + 1, work->parts);
  const float *weights = m->weights + panel_start(m->rows, panels, first) * m->depth;
  matrix_panels(m, work, first, last, weights, work->coefficients[m->beta]);
}

INLINE void make_followers(const pc_followers *followers, const pc_work *work) {
  pc_work one = *work;
  for (one.tiles = 1; one.tile < work->tile + work->tiles; one.tile++)
    for (int64_t c = 0; c < followers->count; c++) followers->calls[c].kernel(followers->calls[c].parameters, &one);
}

/// Rows whose results are worked on together: few enough for what belongs to them to be in the first-level cache.
enum { rows_together = 48 };

static void matrix_by_rows(const void *parameters, const pc_work *work) {
  const pc_matrix_by_rows *b = parameters;
  pc_work own = *work;
  own.rows = b->matrix->rows;
  own.panels = panels_of(own.rows, b->matrix->height);
  own.parts = (own.rows + rows_together - 1) / rows_together;
  const int64_t last = part_start(own.parts, work->part + 1, work->parts);
  for (own.part = part_start(own.parts, work->part, work->parts); own.part < last; own.part++) {
    matrix(b->matrix, &own);
    make_followers(&b->followers, &own);
  }
}

/// The same product, of steps `start ..< start + depth` alone.
INLINE pc_matrix_once_for_all some_steps(const pc_matrix_once_for_all *a, int64_t start, int64_t depth) {
  pc_matrix_once_for_all some = *a;
  some.matrix.depth = some.pack.depth = some.pack.count2 = depth;
  some.matrix.source.base += start * some.matrix.source_depth;
  some.pack.source.base += start * some.pack.stride2;
  return some;
}

/// Steps `start ..< start + depth` of a product's depth. To pack all weights first would write them to memory and read them from there
/// again; some panels at a time stay in the cache.
static void matrix_once_block(
    const pc_matrix_once_for_all *a, const pc_work *work, int64_t start, int64_t depth) {
  const pc_matrix_once_for_all block = some_steps(a, start, depth);
  const pc_matrix m = block.matrix;
  const pc_pack pack = block.pack;
  const int64_t panels = panels_of(m.rows, m.height), fitting = PC_PACKED_AT_ONCE / (m.height * depth);
  const int64_t each = fitting > 1 ? fitting : 1;
  pc_work own = *work;
  own.rows = m.rows;
  own.panels = panels;
  // As many parts for every thread, whose rows are the same for all blocks.
  own.parts = ((panels + each - 1) / each + work->parts - 1) / work->parts * work->parts;
  const int64_t end = part_start(own.parts, work->part + 1, work->parts);
  const float beta = start == 0 ? work->coefficients[m.beta] : 1;
  for (own.part = part_start(own.parts, work->part, work->parts); own.part < end; own.part++) {
    const int64_t first = part_start(panels, own.part, own.parts), last = part_start(panels, own.part + 1, own.parts);
    pack_panels(&pack, panels, first, last, pack.source.base, work->scratch);
    for (own.tile = 0; own.tile < a->tiles; own.tile += own.tiles) {
      own.tiles = a->tiles - own.tile < PC_TILES_ABREAST ? a->tiles - own.tile : PC_TILES_ABREAST;
      matrix_panels(&m, &own, first, last, work->scratch, beta);
      if (start + depth == a->matrix.depth) make_followers(&a->followers, &own);
    }
  }
}

static void matrix_once_blocks(const pc_matrix_once_for_all *a, const pc_work *work) {
  const int64_t depth = a->matrix.depth;
  for (int64_t block = 0; block < a->blocks; block++) {
    const int64_t start = part_start(depth, block, a->blocks);
    matrix_once_block(a, work, start, part_start(depth, block + 1, a->blocks) - start);
  }
}

static void matrix_once_for_all(const void *parameters, const pc_work *work) {
  const pc_matrix_once_for_all *a = parameters;
  if (a->pieces == 1) {
    matrix_once_blocks(a, work);
    return;
  }
  pc_work whole = *work;
  whole.part = 0, whole.parts = 1;
  const int64_t last = part_start(a->pieces, work->part + 1, work->parts);
  for (int64_t p = part_start(a->pieces, work->part, work->parts); p < last; p++) {
    const int64_t start = part_start(a->matrix.depth, p, a->pieces);
    pc_matrix_once_for_all piece = some_steps(a, start, part_start(a->matrix.depth, p + 1, a->pieces) - start);
    piece.matrix.result.base += p * a->piece_result;
    matrix_once_blocks(&piece, &whole);
  }
}

// MARK: Shared weights, once
//
// To pack weights costs about as much as to multiply them by one vector of lanes. What such a batch does not use again is read as it
// lies, each row from end to end, by the thread that also updates it.

enum { once_depth = 8, once_abreast = 4, once_rows = 8, once_steps = 4 };

/// Some neighbouring results, so many that each need not wait for its own last sum.
INLINE void add_steps_abreast(
    const int rows, const int steps, const float *weights, const int64_t weights_depth, const V *x, float *result,
    const int64_t result_row, const bool adds) {
  V sum[once_abreast];
  UNROLL for (int r = 0; r < rows; r++) sum[r] = adds ? load(result + r * result_row) : splat(0);
  UNROLL for (int k = 0; k < steps; k++) {
    UNROLL for (int r = 0; r < rows; r++) sum[r] += splat(weights[k * weights_depth + r]) * x[k];
  }
  UNROLL for (int r = 0; r < rows; r++) store(result + r * result_row, sum[r]);
}

/// Rows that are neighbours: some steps of the depth are added to all results, which stay in the first-level cache.
INLINE void add_steps(
    const int steps, const int64_t rows, const float *weights, const int64_t weights_depth, const float *source,
    const int64_t source_depth, float *result, const int64_t result_row, const bool adds) {
  V x[once_depth];
  UNROLL for (int k = 0; k < steps; k++) x[k] = load(source + k * source_depth);
  int64_t r = 0;
  for (; r + once_abreast <= rows; r += once_abreast, weights += once_abreast, result += once_abreast * result_row)
    add_steps_abreast(once_abreast, steps, weights, weights_depth, x, result, result_row, adds);
  for (; r < rows; r++, weights++, result += result_row)
    add_steps_abreast(1, steps, weights, weights_depth, x, result, result_row, adds);
}

/// Steps `k ..< end` of the depth.
INLINE void rows_of_steps(const pc_matrix_once *m, int64_t k, const int64_t end, float *result) {
  const int64_t rows = m->rows, depth = m->weights_depth, step = m->source_depth, row = m->result_row;
  const float *weights = m->weights, *source = m->source;
  bool adds = false;
  for (; k + once_depth <= end; k += once_depth, adds = true)
    add_steps(once_depth, rows, weights + k * depth, depth, source + k * step, step, result, row, adds);
  for (; k < end; k++, adds = true)
    add_steps(1, rows, weights + k * depth, depth, source + k * step, step, result, row, adds);
}

/// Rows that run along the depth.
INLINE void rows_once(
    const pc_matrix_once *m, const int rows, const float *weights, float *result, float alpha, float beta) {
  V sum[once_rows];
  UNROLL for (int r = 0; r < rows; r++) sum[r] = splat(0);
  const float *source = m->source;
  const int64_t row = m->weights_row, depth = m->depth, step = m->source_depth;
  int64_t k = 0;
  for (; k + once_steps <= depth; k += once_steps, source += once_steps * step)
    UNROLL for (int s = 0; s < once_steps; s++) {
      V x = load(source + s * step);
      UNROLL for (int r = 0; r < rows; r++) sum[r] += splat(weights[r * row + k + s]) * x;
    }
  for (; k < depth; k++, source += step) {
    V x = load(source);
    UNROLL for (int r = 0; r < rows; r++) sum[r] += splat(weights[r * row + k]) * x;
  }
  UNROLL for (int r = 0; r < rows; r++) blend(result + r * m->result_row, 1, 0, sum[r], alpha, beta);
}

// Tiles of half a vector: the weights fill the vectors, and the source's numbers are spread.

enum { half = W / 2, vectors_abreast = 2, rows_ahead = 8 };

/// N vectors of rows that are neighbours, over steps `k ..< end` of the depth.
INLINE void vectors_of_rows(
    const int N, const pc_matrix_once *m, int64_t row, int64_t k, const int64_t end, float *result) {
  V sum[half][vectors_abreast];
  UNROLL for (int l = 0; l < half; l++) {
    UNROLL for (int n = 0; n < N; n++) sum[l][n] = splat(0);
  }
  const float *weights = m->weights + k * m->weights_depth + row, *source = m->source + k * m->source_depth;
  for (; k < end; k++, weights += m->weights_depth, source += m->source_depth) {
    V w[vectors_abreast];
    UNROLL for (int n = 0; n < N; n++) {
      __builtin_prefetch(weights + rows_ahead * m->weights_depth + n * W);
      w[n] = load(weights + n * W);
    }
    UNROLL for (int l = 0; l < half; l++) {
      V x = splat(source[l]);
      UNROLL for (int n = 0; n < N; n++) sum[l][n] += x * w[n];
    }
  }
  float lanes[half][vectors_abreast * W] __attribute__((aligned(64)));
  UNROLL for (int l = 0; l < half; l++) {
    UNROLL for (int n = 0; n < N; n++) store(lanes[l] + n * W, sum[l][n]);
  }
  float *to = result + row * m->result_row;
  for (int r = 0; r < N * W; r += 4)
    for (int l = 0; l + 4 <= half; l += 4)
      transpose_quads(lanes[l] + r, vectors_abreast * W, to + r * m->result_row + l, m->result_row);
}

/// At least one vector of rows; the last vectors may take along rows of those before them.
INLINE void rows_by_vectors(const pc_matrix_once *m, int64_t start, int64_t end, float *result) {
  const int64_t together = vectors_abreast * W;
  int64_t row = 0;
  for (; row + together <= m->rows; row += together) vectors_of_rows(vectors_abreast, m, row, start, end, result);
  if (row == m->rows) return;
  if (row + W < m->rows && row > 0)
    vectors_of_rows(vectors_abreast, m, m->rows - together, start, end, result);
  else
    for (; row < m->rows; row += W)
      vectors_of_rows(1, m, row + W <= m->rows ? row : m->rows - W, start, end, result);
}

/// Two rows that run along the depth (`next` apart), with the source as [lane][depth], whole vectors of it.
INLINE void pair_along_depth(
    const pc_matrix_once *m, const float *weights, int64_t next, const float *source, int64_t source_lane, float *result,
    float alpha, float beta) {
  V sum[W];
  UNROLL for (int i = 0; i < W; i++) sum[i] = splat(0);
  const int64_t whole = m->depth / W * W;
  for (int64_t k = 0; k < whole; k += W) {
    __builtin_prefetch(weights + 2 * m->weights_row + k);
    __builtin_prefetch(weights + 3 * m->weights_row + k);
    V w = load(weights + k), v = load(weights + next + k);
    UNROLL for (int l = 0; l < half; l++) {
      V x = load(source + l * source_lane + k);
      sum[l] += w * x;
      sum[half + l] += v * x;
    }
  }
  float sums[W] __attribute__((aligned(64)));
  store(sums, sums_of(sum));
  for (int64_t k = whole; k < m->depth; k++)
    for (int l = 0; l < half; l++) {
      const float x = m->source[k * m->source_depth + l];
      sums[l] += weights[k] * x;
      sums[half + l] += weights[next + k] * x;
    }
  for (int r = 0; r < (next ? 2 : 1); r++)
    for (int l = 0; l < half; l++) {
      float *at = result + r * m->result_row + l;
      *at = alpha * sums[r * half + l] + (beta == 0 ? 0 : beta * *at);
    }
}

INLINE void rows_along_depth(
    const pc_matrix_once *m, int64_t first, int64_t last, float *scratch, float alpha, float beta) {
  const int64_t whole = m->depth / 4 * 4, lane = (m->depth + 15) / 16 * 16 + 16;
  for (int64_t k = 0; k < whole; k += 4)
    for (int l = 0; l + 4 <= half; l += 4)
      transpose_quads(m->source + k * m->source_depth + l, m->source_depth, scratch + l * lane + k, lane);
  for (int64_t r = first; r < last; r += 2)
    pair_along_depth(
        m, m->weights + r * m->weights_row, r + 1 < last ? m->weights_row : 0, scratch, lane,
        m->result + r * m->result_row, alpha, beta);
}

static void matrix_once(const void *parameters, const pc_work *work) {
  const pc_matrix_once *m = parameters;
  const float alpha = work->coefficients[m->alpha], beta = work->coefficients[m->beta];
  const bool by_vectors = m->lanes < W;
  if (m->weights_row == 1) {
    const int64_t last = part_start(m->pieces, work->part + 1, work->parts);
    for (int64_t piece = part_start(m->pieces, work->part, work->parts); piece < last; piece++) {
      const int64_t start = part_start(m->depth, piece, m->pieces), end = part_start(m->depth, piece + 1, m->pieces);
      float *result = m->result + piece * m->piece_result;
      if (by_vectors)
        rows_by_vectors(m, start, end, result);
      else
        rows_of_steps(m, start, end, result);
    }
    return;
  }
  const int64_t last = part_start(m->rows, work->part + 1, work->parts);
  int64_t r = part_start(m->rows, work->part, work->parts);
  if (by_vectors) {
    rows_along_depth(m, r, last, work->scratch, alpha, beta);
    return;
  }
  for (; r + once_rows <= last; r += once_rows)
    rows_once(m, once_rows, m->weights + r * m->weights_row, m->result + r * m->result_row, alpha, beta);
  for (; r < last; r++)
    rows_once(m, 1, m->weights + r * m->weights_row, m->result + r * m->result_row, alpha, beta);
}

// MARK: Summed over the examples, both batched

static void transpose(const void *parameters, const pc_work *work) {
  const pc_transpose *t = parameters;
  for (int64_t g = 0; g < t->groups; g++)
    for (int64_t k = 0; k < t->depth; k++) {
      const float *source = in_tile(&t->source, work) + t->group[g].source + k * t->source_depth;
      float *target = out_tile(&t->result, work) + t->group[g].result + k * t->result_depth;
      for (int64_t c = 0; c < t->columns; c += t->block) {
        int64_t columns = t->columns - c < t->block ? t->columns - c : t->block;
        const float *rows = source + c * t->source_column;
        int64_t j = 0;
        for (; j + W <= columns; j += W)
          for (int64_t l = 0; l < t->lanes; l += 4) {
            V turned[4];
            load_turned(rows + j * t->source_column + l, t->source_column, turned);
            UNROLL for (int i = 0; i < 4; i++) store(target + (l + i) * t->block + j, turned[i]);
          }
        for (; j + 4 <= columns; j += 4)
          for (int64_t l = 0; l < t->lanes; l += 4)
            transpose_quads(rows + j * t->source_column + l, t->source_column, target + l * t->block + j, t->block);
        for (; j < columns; j++)
          for (int64_t l = 0; l < t->lanes; l++) target[l * t->block + j] = rows[j * t->source_column + l];
        target += t->lanes * t->block;
      }
    }
}

/// Some rows of x: those from `first` on, `tile` apart from tile to tile.
typedef struct {
  int64_t first, rows;
  const float *x;
  int64_t tile;
} Panel;

INLINE Panel outer_rows_of(const pc_outer *o, const pc_group *group, int64_t panels, int64_t panel) {
  const int64_t first = panel_start(o->rows, panels, panel), rows = panel_start(o->rows, panels, panel + 1) - first;
  const int64_t row = o->packed ? o->depth * o->lanes : o->x_row;
  return (Panel){first, rows, o->x.base + group->weights + first * row, o->x.tile};
}

INLINE void add_row(
    int64_t columns, const float *restrict sums, float *restrict result, const int64_t step, float beta) {
  if (beta == 0)
    for (int64_t j = 0; j < columns; j++) result[j * step] = sums[j];
  else
    for (int64_t j = 0; j < columns; j++) result[j * step] = beta * result[j * step] + sums[j];
}

/// The rows of a panel and a block of columns, over `tiles` tiles from `tile` on and then over `rest` lanes of the next. `ahead`
/// says where the result goes on soon.
INLINE void outer_block(
    const pc_outer *o, const pc_group *group, const Panel panel, int64_t c, int64_t tile, int64_t tiles, int64_t rest,
    int64_t ahead, float alpha, float beta) {
  const int64_t row = panel.first, rows = panel.rows;
  const int64_t breadth = breadth_of(o->height), block = W * breadth;
  const int64_t columns = o->columns - c < block ? o->columns - c : block;
  const Apart neighbours = {W, 2 * W};
  const int64_t x_depth = o->lanes * rows;
  const float *x = panel.x + tile * panel.tile, *y = o->y.base + group->source + c * o->lanes + tile * o->y.tile;
  float *result = o->result + group->result + row * o->result_row + c * o->result_column;
  float local[MOST_ROWS * WIDE * W] __attribute__((aligned(64)));
  const bool direct = columns == block && o->result_column == 1;
  float *at = direct ? result : local;
  const int64_t step = direct ? o->result_row : block;
  // After a few examples' products the result is wanted before its lines have come.
  if (direct)
    for (int64_t r = 0; r < rows; r++)
      for (int64_t j = 0; j < block; j += 16) __builtin_prefetch(result + r * o->result_row + ahead + j, 1, 3);
  const float old = direct ? beta : 0, kept = tiles > 0 ? 1 : old;
  const float *last_x = x + tiles * panel.tile, *last_y = y + tiles * o->y.tile;
  if (o->packed) {
    const Loops whole = {{tiles, o->depth, o->lanes}, {panel.tile, x_depth, rows}, {o->y.tile, o->y_depth, block}};
    const Loops remainder = {{1, o->depth, rest}, {0, x_depth, rows}, {0, o->y_depth, block}};
    const Micro multiply_block = micro[breadth][rows];
    if (tiles > 0) multiply_block(&whole, x, y, neighbours, at, step, neighbours, NULL, alpha, old);
    if (rest > 0) multiply_block(&remainder, last_x, last_y, neighbours, at, step, neighbours, NULL, alpha, kept);
  } else {
    const MicroAcross multiply_block = micro_across[breadth][rows];
    if (tiles > 0) multiply_block(tiles, o->lanes, x, panel.tile, o->x_row, y, o->y.tile, at, step, alpha, old);
    if (rest > 0) multiply_block(1, rest, last_x, 0, o->x_row, last_y, 0, at, step, alpha, kept);
  }
  if (direct) return;
  for (int64_t r = 0; r < rows; r++)
    if (o->result_column == 1)
      add_row(columns, local + r * block, result + r * o->result_row, 1, beta);
    else
      add_row(columns, local + r * block, result + r * o->result_row, o->result_column, beta);
}

/// R rows of the result from `depth` examples, end to end: of so few the result is the largest part, and waits for nothing but its own
/// lines. `x` has the examples' numbers for the rows, alpha times.
INLINE void outer_rows(
    const int R, int64_t depth, int64_t blocks, const float *x, const float *y, int64_t y_block, float *result,
    int64_t result_row, float beta) {
  for (int64_t block = 0; block < blocks; block++, y += y_block, result += 2 * W) {
    V sum[MOST_ROWS][WIDE];
    // Past the end of these rows come the next ones.
    const int64_t ahead = 8 * W + (block + 4 < blocks ? 0 : R * result_row - blocks * 2 * W);
    UNROLL for (int r = 0; r < R; r++) {
      float *at = result + r * result_row;
      __builtin_prefetch(at + ahead, 1, 3);
      if (W == 16) __builtin_prefetch(at + ahead + W, 1, 3);
      UNROLL for (int n = 0; n < 2; n++) sum[r][n] = beta == 0 ? splat(0) : beta * load(at + n * W);
    }
    for (int64_t k = 0; k < depth; k++) multiply_once(R, 2, x + k * R, 1, y + k * 2 * W, (Apart){W, 0}, sum);
    UNROLL for (int r = 0; r < R; r++) {
      UNROLL for (int n = 0; n < 2; n++) store(result + r * result_row + n * W, sum[r][n]);
    }
  }
}

/// The same for a number of rows, of `MOST_ROWS` at most, that is known here only.
static void outer_panel(
    int64_t rows, int64_t depth, int64_t blocks, const float *x, const float *y, int64_t y_block, float *result,
    int64_t result_row, float beta) {
  switch (rows) {
#define OUTER_CASE(R) \
  case R: outer_rows(R, depth, blocks, x, y, y_block, result, result_row, beta); break;
    FOR_ROWS(OUTER_CASE)
  }
}

/// As many blocks of columns as are whole, of a panel of rows and a single tile.
static void outer_of_few(
    const pc_outer *o, int64_t panels, int64_t panel, const Panel rows, int64_t blocks, const float *y, float *result,
    float alpha, float beta) {
  float scaled[PC_FEW * MOST_ROWS] __attribute__((aligned(64)));
  const float *x = rows.x;
  if (!o->packed) {
    const pc_pack lanes = {
        .rows = o->rows, .height = o->height, .row = o->x_row, .depth = o->lanes, .count0 = 1, .count1 = 1,
        .count2 = o->lanes, .stride2 = 1};
    pack_panels(&lanes, panels, panel, panel + 1, x - rows.first * o->x_row, scaled);
    x = scaled;
  }
  for (int64_t i = 0; i < o->batch * rows.rows; i++) scaled[i] = alpha * x[i];
  outer_panel(rows.rows, o->batch, blocks, scaled, y, o->lanes * 2 * W, result, o->result_row, beta);
}

/// Depth up to which a row of blocks of the result is worked on together.
enum { by_rows = 64 };

/// Contraction runs over full tiles first and then over the live lanes of the last, so that no lane beyond the batch
/// takes part.
static void outer(const void *parameters, const pc_work *work) {
  const pc_outer *o = parameters;
  const float alpha = work->coefficients[o->alpha], beta = work->coefficients[o->beta];
  const int64_t full = o->batch / o->lanes, rest = o->batch % o->lanes;
  const int64_t block = W * breadth_of(o->height), panels = panels_of(o->rows, o->height);
  const int64_t first_panel = part_start(panels, work->part, work->parts);
  const int64_t last_panel = part_start(panels, work->part + 1, work->parts);
  if (block == 2 * W && o->batch <= PC_FEW && o->batch <= o->lanes && o->depth == 1 && o->result_column == 1) {
    const int64_t whole = o->columns / block * block;
    for (const pc_group *group = o->group; group < o->group + o->groups; group++)
      for (int64_t p = first_panel; p < last_panel; p++) {
        const Panel panel = outer_rows_of(o, group, panels, p);
        float *result = o->result + group->result + panel.first * o->result_row;
        if (whole > 0) outer_of_few(o, panels, p, panel, whole / block, o->y.base + group->source, result, alpha, beta);
        if (whole < o->columns) outer_block(o, group, panel, whole, 0, full, rest, 0, alpha, beta);
      }
    return;
  }
  const int64_t each = o->depth * o->lanes;
  const int64_t chunk = each > 0 && each < PC_OUTER_DEPTH ? PC_OUTER_DEPTH / each : 1;
  for (const pc_group *group = o->group; group < o->group + o->groups; group++)
    for (int64_t tile = 0; tile == 0 || tile < full; tile += chunk) {
      const bool is_last = tile + chunk >= full;
      const int64_t tiles = is_last ? full - tile : chunk, lanes = is_last ? rest : 0;
      const float kept = tile == 0 ? beta : 1;
      // Of a few examples the result is the largest part, and is read and written from end to end.
      const bool is_by_rows = (tiles * o->lanes + lanes) * o->depth <= by_rows;
      const int64_t together = is_by_rows ? o->columns : block;
      for (int64_t first = 0; first < o->columns; first += together)
        for (int64_t p = first_panel; p < last_panel; p++) {
          const Panel panel = outer_rows_of(o, group, panels, p);
          const int64_t ahead = is_by_rows ? 3 * block : 2 * panel.rows * o->result_row;
          for (int64_t c = first; c < first + together && c < o->columns; c += block)
            outer_block(o, group, panel, c, tile, tiles, lanes, ahead, alpha, kept);
        }
    }
}

// MARK: Everything else

/// N vectors of one value, each as several sums that need not wait for one another. With both operands batched the compiler knows it and
/// keeps the loop free of branches.
INLINE void sum_products(
    const int N, const pc_products *p, const int64_t x_lane, const int64_t y_lane, const float *x, const float *y,
    int64_t vector, V *sums) {
  const int abreast = 4 / N;
  V sum[4][4];
  UNROLL for (int u = 0; u < abreast; u++) {
    UNROLL for (int n = 0; n < N; n++) sum[u][n] = splat(0);
  }
  int64_t k = 0;
  for (; k + abreast <= p->depth; k += abreast, x += abreast * p->x_depth, y += abreast * p->y_depth)
    UNROLL for (int u = 0; u < abreast; u++) {
      UNROLL for (int n = 0; n < N; n++)
        sum[u][n] += get(x + u * p->x_depth, x_lane, vector + n) * get(y + u * p->y_depth, y_lane, vector + n);
    }
  for (; k < p->depth; k++, x += p->x_depth, y += p->y_depth)
    UNROLL for (int n = 0; n < N; n++) sum[0][n] += get(x, x_lane, vector + n) * get(y, y_lane, vector + n);
  UNROLL for (int n = 0; n < N; n++) {
    UNROLL for (int u = 1; u < abreast; u++) sum[0][n] += sum[u][n];
    sums[vector + n] = sum[0][n];
  }
}

/// Results that are worked on together: their sums stay in the first-level cache.
enum { abreast_results = 1024 };

/// Neighbouring results that share one operand and are neighbours in the other; both operands unbatched. Rows are read from
/// end to end, N at a time, as memory likes best.
INLINE void add_rows(
    const int N, int64_t count, float *sums, const float *shared, int64_t shared_depth, const float *rows,
    int64_t row_depth) {
  V x[4];
  UNROLL for (int n = 0; n < N; n++) x[n] = splat(shared[n * shared_depth]);
  for (int64_t i = 0; i < count; i += 2 * W) {
    // Rows may be short: what they begin with is asked for while those before them are read.
    UNROLL for (int n = 0; n < N; n++) __builtin_prefetch(rows + (n + N) * row_depth + i);
    UNROLL for (int v = 0; v < 2; v++) {
      if (v * W + i >= count) break;
      V sum = load(sums + i + v * W);
      UNROLL for (int n = 0; n < N; n++) sum += x[n] * load(rows + n * row_depth + i + v * W);
      store(sums + i + v * W, sum);
    }
  }
}

static void row_of_products(
    const pc_products *p, int64_t count, float *result, const float *shared, int64_t shared_depth, const float *row,
    int64_t row_depth, float alpha, float beta) {
  float sums[abreast_results] __attribute__((aligned(64)));
  for (int64_t i = 0; i < count; i += W) store(sums + i, splat(0));
  int64_t k = 0;
  for (; k + 4 <= p->depth; k += 4)
    add_rows(4, count, sums, shared + k * shared_depth, shared_depth, row + k * row_depth, row_depth);
  for (; k < p->depth; k++)
    add_rows(1, count, sums, shared + k * shared_depth, shared_depth, row + k * row_depth, row_depth);
  for (int64_t i = 0; i < count; i += W) blend(result + i, 1, 0, load(sums + i), alpha, beta);
}

/// N neighbouring results that share one operand, where both run along the depth: a vector of sums for each, two where they
/// are to hide the latency, which are added up in the end.
INLINE void row_of_dots(
    const int N, int64_t depth, float *result, int64_t result_step, const float *shared, const float *row,
    int64_t row_step, float alpha, float beta) {
  V sum[4][2];
  UNROLL for (int n = 0; n < N; n++) sum[n][0] = splat(0), sum[n][1] = splat(0);
  int64_t k = 0;
  for (; k + 2 * W <= depth; k += 2 * W) {
    V x = load(shared + k), y = load(shared + k + W);
    UNROLL for (int n = 0; n < N; n++) {
      __builtin_prefetch(row + (n + N) * row_step + k);
      sum[n][0] += x * load(row + n * row_step + k);
      sum[n][1] += y * load(row + n * row_step + k + W);
    }
  }
  if (k + W <= depth) {
    UNROLL for (int n = 0; n < N; n++) sum[n][0] += load(shared + k) * load(row + n * row_step + k);
    k += W;
  }
  UNROLL for (int n = 0; n < N; n++) {
    float total = sum_of(sum[n][0] + sum[n][1]);
    for (int64_t rest = k; rest < depth; rest++) total += shared[rest] * row[n * row_step + rest];
    float *at = result + n * result_step;
    *at = beta == 0 ? alpha * total : beta * *at + alpha * total;
  }
}

/// A row of unbatched results by `row_of_dots`, where the operands lie so.
static bool dots_row(
    const pc_products *p, const pc_axis *a, int64_t count, float *result, const float *x, const float *y, float alpha,
    float beta) {
  if (p->lanes != 1 || p->x_depth != 1 || p->y_depth != 1 || p->depth < 2 || (a->x != 0 && a->y != 0)) return false;
  const bool is_x_shared = a->x == 0;
  const float *shared = is_x_shared ? x : y, *row = is_x_shared ? y : x;
  const int64_t row_step = is_x_shared ? a->y : a->x;
  int64_t i = 0;
  for (; i + 4 <= count; i += 4)
    row_of_dots(4, p->depth, result + i * a->result, a->result, shared, row + i * row_step, row_step, alpha, beta);
  for (; i < count; i++)
    row_of_dots(1, p->depth, result + i * a->result, a->result, shared, row + i * row_step, row_step, alpha, beta);
  return true;
}

/// As much of a row of unbatched results as fills vectors; returns how many that is.
static int64_t products_row(
    const pc_products *p, const pc_axis *a, int64_t count, float *result, const float *x, const float *y, float alpha,
    float beta) {
  if (p->lanes != 1 || a->result != 1 || !((a->x == 0 && a->y == 1) || (a->x == 1 && a->y == 0))) return 0;
  const bool is_x_shared = a->x == 0;
  const float *shared = is_x_shared ? x : y, *row = is_x_shared ? y : x;
  const int64_t shared_depth = is_x_shared ? p->x_depth : p->y_depth;
  const int64_t row_depth = is_x_shared ? p->y_depth : p->x_depth;
  const int64_t whole = count / W * W;
  for (int64_t i = 0; i < whole; i += abreast_results)
    row_of_products(
        p, whole - i < abreast_results ? whole - i : abreast_results, result + i, shared, shared_depth, row + i, row_depth,
        alpha, beta);
  return whole;
}

/// The product of two vectors, `rows` and `columns`; returns false where the operands do not lie so.
static bool outer_of_vectors(
    const pc_products *p, const pc_axis *a, int64_t first, int64_t last, float *result, const float *x, const float *y,
    float alpha, float beta) {
  const bool is_x_row = a[0].y == 0 && a[1].x == 0;
  const bool is_y_row = a[0].x == 0 && a[1].y == 0;
  const int64_t step = is_x_row ? a[1].y : a[1].x;
  if (p->lanes != 1 || p->depth != 1 || a[1].result != 1 || !(is_x_row || is_y_row) || step != 1) return false;
  const float *rows = is_x_row ? x : y, *columns = is_x_row ? y : x;
  const int64_t row_step = is_x_row ? a[0].x : a[0].y, blocks = a[1].count / (2 * W);
  for (int64_t row = first; row < last; row += MOST_ROWS) {
    const int64_t count = last - row < MOST_ROWS ? last - row : MOST_ROWS;
    float scaled[MOST_ROWS];
    for (int64_t r = 0; r < count; r++) scaled[r] = alpha * rows[(row + r) * row_step];
    float *at = result + row * a[0].result;
    outer_panel(count, 1, blocks, scaled, columns, 2 * W, at, a[0].result, beta);
    for (int64_t r = 0; r < count; r++, at += a[0].result) {
      int64_t c = blocks * 2 * W;
      for (; c + W <= a[1].count; c += W) blend(at + c, 1, 0, splat(scaled[r]) * load(columns + c), 1, beta);
      for (; c < a[1].count; c++) {
        const float product = scaled[r] * columns[c];
        at[c] = beta == 0 ? product : beta * at[c] + product;
      }
    }
  }
  return true;
}

INLINE void single_product(
    const pc_products *p, float *result, const float *x, const float *y, float alpha, float beta) {
  float total = 0;
  for (int64_t k = 0; k < p->depth; k++) total += x[k * p->x_depth] * y[k * p->y_depth];
  *result = beta == 0 ? alpha * total : beta * *result + alpha * total;
}

static void products_axis(
    const pc_products *p, const pc_work *work, int64_t axis, int64_t first, int64_t last, float *result, const float *x,
    const float *y, float alpha, float beta) {
  if (axis == p->rank) {
    const int64_t vectors = vectors_of(p->lanes);
    V sums[MOST_VECTORS];
    const bool both = p->x.lane && p->y.lane;
    int64_t v = 0;
    for (; both && v + 4 <= vectors; v += 4) sum_products(4, p, 1, 1, x, y, v, sums);
    for (; both && v + 2 <= vectors; v += 2) sum_products(2, p, 1, 1, x, y, v, sums);
    for (; v < vectors; v++) sum_products(1, p, p->x.lane, p->y.lane, x, y, v, sums);
    finish(result, p->result.lane, p->sums, sums, vectors, work->live, alpha, beta);
    return;
  }
  const pc_axis *a = p->axes + axis;
  int64_t next = axis + 1 < p->rank ? a[1].count : 0;
  if (axis + 2 == p->rank && outer_of_vectors(p, a, first, last, result, x, y, alpha, beta)) return;
  if (axis + 1 == p->rank
      && dots_row(p, a, last - first, result + first * a->result, x + first * a->x, y + first * a->y, alpha, beta))
    return;
  if (axis + 1 == p->rank)
    first += products_row(
        p, a, last - first, result + first * a->result, x + first * a->x, y + first * a->y, alpha, beta);
  if (axis + 1 == p->rank && p->lanes == 1) {
    for (int64_t i = first; i < last; i++)
      single_product(p, result + i * a->result, x + i * a->x, y + i * a->y, alpha, beta);
    return;
  }
  for (int64_t i = first; i < last; i++)
    products_axis(
        p, work, axis + 1, 0, next, result + i * a->result, x + i * a->x, y + i * a->y, alpha, beta);
}

/// Threads share the outermost axis out, or the pieces of the depth where it goes in several, each with a result of its own.
static void products(const void *parameters, const pc_work *work) {
  const pc_products *p = parameters;
  const float alpha = work->coefficients[p->alpha], beta = work->coefficients[p->beta];
  float *result = out_tile(&p->result, work);
  const float *x = in_tile(&p->x, work), *y = in_tile(&p->y, work);
  const int64_t count = p->axes->count, shared = p->pieces > 1 ? p->pieces : count;
  const int64_t first = part_start(shared, work->part, work->parts);
  const int64_t last = part_start(shared, work->part + 1, work->parts);
  if (p->pieces <= 1) {
    products_axis(p, work, 0, first, last, result, x, y, alpha, beta);
    return;
  }
  for (int64_t piece = first; piece < last; piece++) {
    pc_products own = *p;
    const int64_t start = part_start(p->depth, piece, p->pieces);
    own.depth = part_start(p->depth, piece + 1, p->pieces) - start;
    products_axis(
        &own, work, 0, 0, count, result + piece * p->piece_result, x + start * p->x_depth, y + start * p->y_depth, alpha,
        beta);
  }
}
