// Reductions, pooling, one-hot codes, sums over tiles: simple loops over lanes.

// MARK: Reductions

typedef struct {
  const pc_reduce *parameters;
  int64_t vectors;
  V value[MOST_VECTORS];
  V largest[MOST_VECTORS];
} Reducing;

/// What happens to each element: added, compared, or added as its exponential relative to the largest.
typedef enum { ADD, COMPARE, ADD_EXPONENTIAL } Visit;

/// One run of elements, vector by vector, so that the running values stay in registers.
INLINE void visit_run(Reducing *r, const Visit kind, const float *x, int64_t count, int64_t step) {
  const int64_t lane = r->parameters->x.lane;
  for (int64_t v = 0; v < r->vectors; v++) {
    V value = r->value[v], largest = r->largest[v];
    for (int64_t i = 0; i < count; i++) {
      V element = get(x + i * step, lane, v);
      if (kind == ADD) value += element;
      if (kind == COMPARE) largest = choose(element >= largest, element, largest);
      if (kind == ADD_EXPONENTIAL) value += exponential(element - largest);
    }
    r->value[v] = value, r->largest[v] = largest;
  }
}

static void visit_axis(Reducing *r, Visit kind, int64_t axis, const float *x) {
  const pc_axis *a = r->parameters->reduced + axis;
  if (axis + 1 < r->parameters->reduced_rank)
    for (int64_t i = 0; i < a->count; i++) visit_axis(r, kind, axis + 1, x + i * a->x);
  else if (kind == ADD)
    visit_run(r, ADD, x, a->count, a->x);
  else if (kind == COMPARE)
    visit_run(r, COMPARE, x, a->count, a->x);
  else
    visit_run(r, ADD_EXPONENTIAL, x, a->count, a->x);
}

static void reduce_axis(
    Reducing *r, const pc_work *work, int64_t axis, int64_t first, int64_t last, float *result, const float *x,
    float alpha, float beta) {
  const pc_reduce *p = r->parameters;
  if (axis < p->rank) {
    const pc_axis *a = p->axes + axis;
    const int64_t next = axis + 1 < p->rank ? a[1].count : 0;
    if (axis + 1 == p->rank && p->reduction == PC_SUM && p->reduced_rank == 1 && p->reduced->count == 1) {
      // What is summed over examples alone.
      int64_t i = first;
      for (; i + W <= last && p->sums && p->x.lane && a->result == 1 && work->live % W == 0; i += W) {
        V whole[W];
        UNROLL for (int row = 0; row < W; row++) {
          whole[row] = splat(0);
          for (int64_t v = 0; v < work->live / W; v++) whole[row] += get(x + (i + row) * a->x, 1, v);
        }
        blend(result + i, 1, 0, sums_of(whole), alpha, beta);
      }
      for (; i < last; i++) {
        for (int64_t v = 0; v < r->vectors; v++) r->value[v] = get(x + i * a->x, p->x.lane, v);
        finish(result + i * a->result, p->result.lane, p->sums, r->value, r->vectors, work->live, alpha, beta);
      }
      return;
    }
    for (int64_t i = first; i < last; i++)
      reduce_axis(r, work, axis + 1, 0, next, result + i * a->result, x + i * a->x, alpha, beta);
    return;
  }
  for (int64_t v = 0; v < r->vectors; v++) {
    r->value[v] = splat(0);
    r->largest[v] = splat(-__builtin_inff());
  }
  if (p->reduction == PC_SUM) {
    visit_axis(r, ADD, 0, x);
  } else {
    visit_axis(r, COMPARE, 0, x);
    if (p->reduction == PC_LOG_SUM_EXP) {
      visit_axis(r, ADD_EXPONENTIAL, 0, x);
      for (int64_t v = 0; v < r->vectors; v++) {
        V largest = r->largest[v];
        r->value[v] = choose(absolute(largest) < __builtin_inff(), largest + logarithm(r->value[v]), largest);
      }
    } else {
      for (int64_t v = 0; v < r->vectors; v++) r->value[v] = r->largest[v];
    }
  }
  finish(result, p->result.lane, p->sums, r->value, r->vectors, work->live, alpha, beta);
}

static void reduce(const void *parameters, const pc_work *work) {
  const pc_reduce *p = parameters;
  Reducing r = {.parameters = p, .vectors = vectors_of(p->lanes)};
  const int64_t count = p->axes->count;
  reduce_axis(
      &r, work, 0, part_start(count, work->part, work->parts), part_start(count, work->part + 1, work->parts), out_tile(&p->result, work), in_tile(&p->x, work), work->coefficients[p->alpha],
      work->coefficients[p->beta]);
}

static void combine_axis(const pc_combine *c, int64_t axis, int64_t first, int64_t last, float *result, const float *x,
    float alpha, float beta) {
  const pc_axis *a = c->axes + axis;
  if (axis + 1 == c->rank && a->result == 1 && a->x == 1)
    for (; first + W <= last; first += W) {
      V total = splat(0);
      for (int64_t tile = 0; tile < c->tiles; tile++) total += load(x + first + tile * c->x.tile);
      blend(result + first, 1, 0, total, alpha, beta);
    }
  for (int64_t i = first; i < last; i++) {
    float *at = result + i * a->result;
    const float *from = x + i * a->x;
    if (axis + 1 < c->rank) {
      combine_axis(c, axis + 1, 0, a[1].count, at, from, alpha, beta);
      continue;
    }
    float total = 0;
    for (int64_t tile = 0; tile < c->tiles; tile++) total += from[tile * c->x.tile];
    *at = beta == 0 ? alpha * total : beta * *at + alpha * total;
  }
}

static void combine(const void *parameters, const pc_work *work) {
  const pc_combine *c = parameters;
  int64_t count = c->axes->count;
  combine_axis(
      c, 0, part_start(count, work->part, work->parts), part_start(count, work->part + 1, work->parts), c->result.base,
      c->x.base, work->coefficients[c->alpha], work->coefficients[c->beta]);
}

// MARK: Pooling

static void max_pool(const void *parameters, const pc_work *work) {
  const pc_pooling *p = parameters;
  const float alpha = work->coefficients[p->alpha], beta = work->coefficients[p->beta];
  const int64_t vectors = vectors_of(p->lanes);
  for (int64_t c = 0; c < p->channels; c++)
    for (int64_t y = 0; y < p->rows; y++)
      for (int64_t x = 0; x < p->columns; x++) {
        const float *image = in_tile(&p->image, work) + c * p->image_channel;
        float *value = out_tile(&p->values, work) + c * p->values_channel + y * p->values_row + x * p->values_column;
        float *winner =
            out_tile(&p->winners, work) + c * p->winners_channel + y * p->winners_row + x * p->winners_column;
        int64_t top = y * p->stride_rows - p->padding_rows, left = x * p->stride_columns - p->padding_columns;
        for (int64_t v = 0; v < vectors; v++) {
          V best = splat(-__builtin_inff()), position = splat(0);
          for (int64_t i = top < 0 ? -top : 0; i < p->window_rows && top + i < p->image_rows; i++)
            for (int64_t j = left < 0 ? -left : 0; j < p->window_columns && left + j < p->image_columns; j++) {
              V candidate =
                  get(image + (top + i) * p->image_row + (left + j) * p->image_column, p->image.lane, v);
              I wins = (candidate > best) | (candidate != candidate);
              best = choose(wins, candidate, best);
              position = choose(wins, splat((float)(i * p->window_columns + j)), position);
            }
          blend(value, p->values.lane, v, best, alpha, beta);
          blend(winner, p->winners.lane, v, position, 1, 0);
        }
      }
}

/// The first and last window that cover position `at`.
INLINE int64_t first_window(int64_t at, int64_t window, int64_t stride) {
  return at < window ? 0 : (at - window) / stride + 1;
}
INLINE int64_t last_window(int64_t at, int64_t stride, int64_t windows) {
  return at / stride < windows ? at / stride : windows - 1;
}

/// Each element of the image gathers from the windows that cover it, so that nothing is written twice.
static void max_pool_gradient(const void *parameters, const pc_work *work) {
  const pc_pooling *p = parameters;
  const float alpha = work->coefficients[p->alpha], beta = work->coefficients[p->beta];
  const int64_t vectors = vectors_of(p->lanes);
  const bool all_lanes = p->values.lane && p->winners.lane && p->image.lane;
  for (int64_t c = 0; c < p->channels; c++) {
    const float *message = in_tile(&p->values, work) + c * p->values_channel;
    const float *winners = in_tile(&p->winners, work) + c * p->winners_channel;
    for (int64_t row = 0; row < p->image_rows; row++) {
      const int64_t down = row + p->padding_rows;
      const int64_t y0 = first_window(down, p->window_rows, p->stride_rows);
      const int64_t y1 = last_window(down, p->stride_rows, p->rows);
      float *result = out_tile(&p->image, work) + c * p->image_channel + row * p->image_row;
      // The windows that cover a column move on with it: x0 and x1 are counted up, not divided out.
      int64_t x0 = 0, x1 = -1;
      for (int64_t column = 0; column < p->image_columns; column++, result += p->image_column) {
        const int64_t right = column + p->padding_columns;
        while (x0 * p->stride_columns + p->window_columns <= right) x0++;
        while (x1 + 1 < p->columns && (x1 + 1) * p->stride_columns <= right) x1++;
        // One window, as with windows that do not overlap: nothing to add up.
        if (all_lanes && y0 == y1 && x0 == x1) {
          const float *m = message + y0 * p->values_row + x0 * p->values_column;
          const float *w = winners + y0 * p->winners_row + x0 * p->winners_column;
          const V here = splat(
              (float)((down - y0 * p->stride_rows) * p->window_columns + right - x0 * p->stride_columns));
          for (int64_t l = 0; l < p->lanes; l += W) {
            V value = alpha * keep(load(w + l) == here, load(m + l));
            store(result + l, beta == 0 ? value : beta * load(result + l) + value);
          }
          continue;
        }
        V sum[MOST_VECTORS];
        for (int64_t v = 0; v < vectors; v++) sum[v] = splat(0);
        for (int64_t y = y0; y <= y1; y++)
          for (int64_t x = x0; x <= x1; x++) {
            const float *m = message + y * p->values_row + x * p->values_column;
            const float *w = winners + y * p->winners_row + x * p->winners_column;
            const float here =
                (float)((down - y * p->stride_rows) * p->window_columns + right - x * p->stride_columns);
            for (int64_t v = 0; v < vectors; v++)
              sum[v] += keep(get(w, p->winners.lane, v) == here, get(m, p->values.lane, v));
          }
        for (int64_t v = 0; v < vectors; v++) blend(result, p->image.lane, v, sum[v], alpha, beta);
      }
    }
  }
}

// MARK: One-hot codes

static void one_hot_axis(
    const pc_one_hot *o, int64_t axis, float *result, const float *x, float alpha, float beta) {
  if (axis < o->rank) {
    const pc_axis *a = o->axes + axis;
    for (int64_t i = 0; i < a->count; i++)
      one_hot_axis(o, axis + 1, result + i * a->result, x + i * a->x, alpha, beta);
    return;
  }
  for (int64_t k = 0; k < o->classes; k++)
    for (int64_t v = 0; v < vectors_of(o->lanes); v++)
      blend(
          result + k * o->class_stride, o->result.lane, v, keep(get(x, o->x.lane, v) == (float)k, splat(1)), alpha,
          beta);
}

static void one_hot(const void *parameters, const pc_work *work) {
  const pc_one_hot *o = parameters;
  one_hot_axis(
      o, 0, out_tile(&o->result, work), in_tile(&o->x, work), work->coefficients[o->alpha],
      work->coefficients[o->beta]);
}

// MARK: Rows of a table

static void gather_axis(
    const pc_gather *g, int64_t axis, float *values, const float *indices, const float *table, float alpha,
    float beta) {
  if (axis < g->rank) {
    const pc_axis *a = g->axes + axis;
    for (int64_t i = 0; i < a->count; i++)
      gather_axis(g, axis + 1, values + i * a->result, indices + i * a->x, table, alpha, beta);
    return;
  }
  for (int64_t l = 0; l < g->lanes; l++) {
    const int64_t row = (int64_t)indices[l * g->indices.lane];
    const bool is_there = row >= 0 && row < g->rows;
    const float *from = table + (is_there ? row : 0) * g->table_row + l * g->table.lane;
    float *to = values + l * g->values.lane;
    for (int64_t j = 0; j < g->width; j++) {
      const float value = is_there ? alpha * from[j * g->table_column] : 0;
      float *result = to + j * g->value_column;
      *result = beta == 0 ? value : beta * *result + value;
    }
  }
}

static void gather(const void *parameters, const pc_work *work) {
  const pc_gather *g = parameters;
  gather_axis(
      g, 0, out_tile(&g->values, work), in_tile(&g->indices, work), in_tile(&g->table, work),
      work->coefficients[g->alpha], work->coefficients[g->beta]);
}

static void gather_gradient_axis(
    const pc_gather *g, int64_t axis, int64_t live, int64_t first, int64_t last, const float *values,
    const float *indices, float *table, float alpha) {
  if (axis < g->rank) {
    const pc_axis *a = g->axes + axis;
    for (int64_t i = 0; i < a->count; i++)
      gather_gradient_axis(
          g, axis + 1, live, first, last, values + i * a->result, indices + i * a->x, table, alpha);
    return;
  }
  for (int64_t l = 0; l < live; l++) {
    const int64_t row = (int64_t)indices[l * g->indices.lane];
    if (row < 0 || row >= g->rows) continue;
    float *to = table + row * g->table_row + l * g->table.lane;
    const float *from = values + l * g->values.lane;
    for (int64_t j = first; j < last; j++) to[j * g->table_column] += alpha * from[j * g->value_column];
  }
}

/// Threads have columns of their own, so that the sum of a row has the order of tiles, positions and examples.
static void gather_gradient(const void *parameters, const pc_work *work) {
  const pc_gather *g = parameters;
  const float alpha = work->coefficients[g->alpha], beta = work->coefficients[g->beta];
  const int64_t first = g->width * work->part / work->parts;
  const int64_t last = g->width * (work->part + 1) / work->parts;
  float *table = out_tile(&g->table, work);
  const int64_t examples = g->table.lane == 0 ? 1 : g->lanes;
  for (int64_t row = 0; row < g->rows; row++)
    for (int64_t j = first; j < last; j++)
      for (int64_t l = 0; l < examples; l++) {
        float *old = table + row * g->table_row + j * g->table_column + l * g->table.lane;
        *old = beta == 0 ? 0 : beta * *old;
      }
  for (int64_t tile = 0; tile < g->tiles; tile++) {
    const pc_work at = {.tile = g->sums ? tile : work->tile};
    const int64_t rest = g->batch - tile * g->lanes;
    gather_gradient_axis(
        g, 0, rest < g->lanes ? rest : g->lanes, first, last, in_tile(&g->values, &at), in_tile(&g->indices, &at),
        table, alpha);
  }
}
