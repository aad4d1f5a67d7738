// Sums of products: `contract` with weights that all examples share, with both operands batched, and summed over examples.

// MARK: Shared weights

static void matrix(const void *parameters, const pc_work *work) {
  const pc_matrix *m = parameters;
  const float alpha = work->coefficients[m->alpha], beta = work->coefficients[m->beta];
  const int64_t panels = panels_of(m->rows);
  for (int64_t g = 0; g < m->groups; g++) {
    const float *source = in_tile(&m->source, work) + m->group[g].source;
    float *result = out_tile(&m->result, work) + m->group[g].result;
    for (int64_t panel = 0; panel < panels; panel++) {
      int64_t first = panel_start(m->rows, panels, panel);
      int64_t rows = panel_start(m->rows, panels, panel + 1) - first;
      Loops loops = {{1, 1, m->depth}, {0, 0, rows}, {0, 0, m->source_depth}};
      const float *weights = m->weights + m->group[g].weights + first * m->depth;
      float *y = result + first * m->result_row;
      if (m->lanes > W) {
        for (int64_t c = 0; c < m->columns; c++)
          for (int64_t l = 0; l < m->lanes; l += 2 * W)
            packed_two[rows](
                &loops, weights, 1, source + c * m->source_column + l, W, y + c * m->result_column + l, m->result_row,
                W, alpha, beta);
      } else {
        int64_t c = 0;
        for (; c + 2 <= m->columns; c += 2)
          packed_two[rows](
              &loops, weights, 1, source + c * m->source_column, m->source_column, y + c * m->result_column,
              m->result_row, m->result_column, alpha, beta);
        if (c < m->columns)
          packed_one[rows](
              &loops, weights, 1, source + c * m->source_column, W, y + c * m->result_column, m->result_row, W, alpha,
              beta);
      }
    }
  }
}

// MARK: Summed over the examples, both batched

#define BLOCK (2 * W)

static void transpose(const void *parameters, const pc_work *work) {
  const pc_transpose *t = parameters;
  for (int64_t g = 0; g < t->groups; g++)
    for (int64_t k = 0; k < t->depth; k++) {
      const float *source = in_tile(&t->source, work) + t->group[g].source + k * t->source_depth;
      float *target = out_tile(&t->result, work) + t->group[g].result + k * t->result_depth;
      for (int64_t c = 0; c < t->columns; c += BLOCK) {
        int64_t columns = t->columns - c < BLOCK ? t->columns - c : BLOCK;
        for (int64_t j = 0; j < columns; j++) {
          const float *row = source + (c + j) * t->source_column;
          for (int64_t l = 0; l < t->lanes; l++) target[l * BLOCK + j] = row[l];
        }
        target += t->lanes * BLOCK;
      }
    }
}

/// Contraction runs over full tiles first and then over the live lanes of the last, so that no lane beyond the batch
/// takes part.
static void outer(const void *parameters, const pc_work *work) {
  const pc_outer *o = parameters;
  const float alpha = work->coefficients[o->alpha], beta = work->coefficients[o->beta];
  const int64_t full = o->batch / o->lanes, rest = o->batch % o->lanes;
  const int64_t panels = panels_of(o->rows);
  const int64_t first_panel = part_start(panels, work->part, work->parts);
  const int64_t last_panel = part_start(panels, work->part + 1, work->parts);
  const Loops whole = {{full, o->depth, o->lanes}, {o->x.tile, o->x_depth, 1}, {o->y.tile, o->y_depth, BLOCK}};
  const Loops remainder = {{1, o->depth, rest}, {0, o->x_depth, 1}, {0, o->y_depth, BLOCK}};
  for (int64_t g = 0; g < o->groups; g++) {
    for (int64_t c = 0; c < o->columns; c += BLOCK) {
      int64_t columns = o->columns - c < BLOCK ? o->columns - c : BLOCK;
      const float *y = o->y.base + o->group[g].source + c * o->lanes;
      for (int64_t panel = first_panel; panel < last_panel; panel++) {
        int64_t row = panel_start(o->rows, panels, panel);
        int64_t rows = panel_start(o->rows, panels, panel + 1) - row;
        const float *x = o->x.base + o->group[g].weights + row * o->x_row;
        float *result = o->result + o->group[g].result + row * o->result_row + c * o->result_column;
        float local[MOST_ROWS * BLOCK] __attribute__((aligned(64)));
        bool direct = columns == BLOCK && o->result_column == 1;
        float *at = direct ? result : local;
        int64_t step = direct ? o->result_row : BLOCK;
        float first_beta = beta;
        if (!direct && beta != 0)
          for (int64_t r = 0; r < rows; r++)
            for (int64_t j = 0; j < BLOCK; j++)
              local[r * BLOCK + j] = j < columns ? result[r * o->result_row + j * o->result_column] : 0;
        if (full > 0) {
          strided_two[rows](&whole, x, o->x_row, y, W, at, step, W, alpha, beta);
          first_beta = 1;
        }
        if (rest > 0)
          strided_two[rows](
              &remainder, x + full * o->x.tile, o->x_row, y + full * o->y.tile, W, at, step, W, alpha, first_beta);
        if (!direct)
          for (int64_t r = 0; r < rows; r++)
            for (int64_t j = 0; j < columns; j++)
              result[r * o->result_row + j * o->result_column] = local[r * BLOCK + j];
      }
    }
  }
}

// MARK: Everything else

static void products_axis(
    const pc_products *p, const pc_work *work, int64_t axis, int64_t first, int64_t last, float *result, const float *x,
    const float *y, float alpha, float beta) {
  if (axis == p->rank) {
    const int64_t vectors = vectors_of(p->lanes);
    V sum[MOST_VECTORS];
    for (int64_t v = 0; v < vectors; v++) sum[v] = splat(0);
    for (int64_t k = 0; k < p->depth; k++)
      for (int64_t v = 0; v < vectors; v++)
        sum[v] += get(x + k * p->x_depth, p->x.lane, v) * get(y + k * p->y_depth, p->y.lane, v);
    finish(result, p->result.lane, p->sums, sum, vectors, work->live, alpha, beta);
    return;
  }
  const pc_axis *a = p->axes + axis;
  int64_t next = axis + 1 < p->rank ? a[1].count : 0;
  for (int64_t i = first; i < last; i++)
    products_axis(
        p, work, axis + 1, 0, next, result + i * a->result, x + i * a->x, y + i * a->y, alpha, beta);
}

static void products(const void *parameters, const pc_work *work) {
  const pc_products *p = parameters;
  int64_t count = p->axes->count;
  products_axis(
      p, work, 0, part_start(count, work->part, work->parts), part_start(count, work->part + 1, work->parts),
      out_tile(&p->result, work), in_tile(&p->x, work), in_tile(&p->y, work), work->coefficients[p->alpha],
      work->coefficients[p->beta]);
}
