// Convolutions. One position of the result takes taps in arithmetic progression along each direction, in the
// convolution itself as in its input gradient, whatever the stride, padding and dilation; so both are one kernel.

// MARK: Convolution and input gradient

INLINE Loops convolution_loops(
    const pc_convolution *c, const pc_taps *vertical, const pc_taps *horizontal, int64_t unit) {
  Loops loops = {
      {vertical->count, horizontal->count, c->channels},
      {unit * c->vertical_weight, unit * c->horizontal_weight, unit * c->channel_weight},
      {c->vertical_source, c->horizontal_source, c->channel_source}};
  if (c->channels_innermost) {
    // A row of taps with all channels is one piece where it lies so in both.
    if (c->horizontal_weight == c->channels * c->channel_weight && c->horizontal_source == c->channels * c->channel_source)
      loops.count[2] *= loops.count[1], loops.count[1] = 1;
  } else {
    loops.count[1] = c->channels, loops.count[2] = horizontal->count;
    loops.weight[1] = unit * c->channel_weight, loops.weight[2] = unit * c->horizontal_weight;
    loops.source[1] = c->channel_source, loops.source[2] = c->horizontal_source;
  }
  return loops;
}

/// For shared, packed filters and at least one vector of lanes. Threads that share one tile take rows of their own.
static void convolution(const void *parameters, const pc_work *work) {
  const pc_convolution *c = parameters;
  const float alpha = work->coefficients[c->alpha], beta = work->coefficients[c->beta];
  const int64_t breadth = breadth_of(c->panel_height), vectors = c->lanes / W;
  const int64_t panels = panels_of(c->rows, c->panel_height);
  const int64_t top = part_start(c->height, work->part, work->parts);
  const int64_t bottom = part_start(c->height, work->part + 1, work->parts);
  for (int64_t g = 0; g < c->groups; g++)
    for (int64_t y = top; y < bottom; y++)
      for (int64_t panel = 0; panel < panels; panel++) {
        const pc_taps *vertical = c->vertical + y;
        const int64_t first = panel_start(c->rows, panels, panel);
        const int64_t rows = panel_start(c->rows, panels, panel + 1) - first;
        const float *weights = c->weights.base + g * c->weights_group + first * c->depth + rows * vertical->weight;
        const float *source = in_tile(&c->source, work) + g * c->source_group + vertical->source;
        const int64_t place = g * c->result_group + y * c->result_row + first * c->result_channel;
        float *result = out_tile(&c->result, work) + place;
        const float *factor = c->factor.base ? in_tile(&c->factor, work) + place : NULL;
        for (int64_t x = 0; x < c->width;) {
          const pc_column *column = c->columns + x;
          const Loops loops = convolution_loops(c, vertical, &column->taps, rows);
          const float *w = weights + rows * column->taps.weight, *s = source + column->taps.source;
          const Block next = next_block(breadth, vectors, column->alike, column->source_step, column->result_step);
          for (int64_t v = 0; v < vectors; v += next.count)
            micro[next.count][rows](
                &loops, w, s + v * W, next.source, result + column->result + v * W, c->result_channel, next.result,
                factor ? factor + column->result + v * W : NULL, alpha, beta);
          x += next.columns;
        }
      }
}

/// For operands of any kind.
static void convolution_any(const void *parameters, const pc_work *work) {
  const pc_convolution *c = parameters;
  const float alpha = work->coefficients[c->alpha], beta = work->coefficients[c->beta];
  const int64_t vectors = vectors_of(c->lanes);
  for (int64_t g = 0; g < c->groups; g++)
    for (int64_t r = 0; r < c->rows; r++)
      for (int64_t y = 0; y < c->height; y++)
        for (int64_t x = 0; x < c->width; x++) {
          const pc_taps *vertical = c->vertical + y, *horizontal = &c->columns[x].taps;
          const float *weights = in_tile(&c->weights, work) + g * c->weights_group + r * c->weights_row
              + vertical->weight + horizontal->weight;
          const float *source =
              in_tile(&c->source, work) + g * c->source_group + vertical->source + horizontal->source;
          V sum[MOST_VECTORS];
          for (int64_t v = 0; v < vectors; v++) sum[v] = splat(0);
          for (int64_t i = 0; i < vertical->count; i++)
            for (int64_t j = 0; j < horizontal->count; j++)
              for (int64_t k = 0; k < c->channels; k++) {
                const float *w =
                    weights + i * c->vertical_weight + j * c->horizontal_weight + k * c->channel_weight;
                const float *s =
                    source + i * c->vertical_source + j * c->horizontal_source + k * c->channel_source;
                for (int64_t v = 0; v < vectors; v++) sum[v] += get(w, c->weights.lane, v) * get(s, c->source.lane, v);
              }
          const int64_t place =
              g * c->result_group + r * c->result_channel + y * c->result_row + c->columns[x].result;
          const float *factor = c->factor.base ? in_tile(&c->factor, work) + place : NULL;
          for (int64_t v = 0; factor && v < vectors; v++) sum[v] *= get(factor, c->factor.lane, v);
          float *result = out_tile(&c->result, work) + place;
          finish(result, c->result.lane, false, sum, vectors, work->live, alpha, beta);
        }
}

// MARK: Filter gradient

/// O output channels × C input channels of one tap, summed over the columns and lanes of one row of the image.
INLINE void accumulate(
    const int O, const int C, const pc_filter_gradient *f, int64_t columns, int64_t lanes, const float *message,
    const float *image, float *sums) {
  V sum[MOST_OUTPUTS][MOST_INPUTS];
  UNROLL for (int o = 0; o < O; o++) {
    UNROLL for (int c = 0; c < C; c++) sum[o][c] = load(sums + (o * C + c) * W);
  }
  for (int64_t x = 0; x < columns; x++) {
    for (int64_t l = 0; l < lanes; l += W) {
      V v[MOST_INPUTS];
      UNROLL for (int c = 0; c < C; c++) v[c] = load(image + c * f->image_channel + l);
      UNROLL for (int o = 0; o < O; o++) {
        V m = load(message + o * f->message_channel + l);
        UNROLL for (int c = 0; c < C; c++) sum[o][c] += m * v[c];
      }
    }
    message += f->horizontal_message, image += f->horizontal_image;
  }
  UNROLL for (int o = 0; o < O; o++) {
    UNROLL for (int c = 0; c < C; c++) store(sums + (o * C + c) * W, sum[o][c]);
  }
}

typedef void (*Accumulate)(
    const pc_filter_gradient *f, int64_t columns, int64_t lanes, const float *message, const float *image, float *sums);

#define ACCUMULATE(O, C)                                                                                            \
  static void accumulate_##O##_##C(                                                                                 \
      const pc_filter_gradient *f, int64_t columns, int64_t lanes, const float *message, const float *image,        \
      float *sums) {                                                                                                \
    accumulate(O, C, f, columns, lanes, message, image, sums);                                                      \
  }
#if MOST_INPUTS > 3
#define ACCUMULATES(O) ACCUMULATE(O, 1) ACCUMULATE(O, 2) ACCUMULATE(O, 3) ACCUMULATE(O, 4)
#define ENTRIES(O) {0, accumulate_##O##_1, accumulate_##O##_2, accumulate_##O##_3, accumulate_##O##_4},
#else
#define ACCUMULATES(O) ACCUMULATE(O, 1) ACCUMULATE(O, 2) ACCUMULATE(O, 3)
#define ENTRIES(O) {0, accumulate_##O##_1, accumulate_##O##_2, accumulate_##O##_3},
#endif
FOR_OUTPUTS(ACCUMULATES)
static const Accumulate accumulates[MOST_OUTPUTS + 1][MOST_INPUTS + 1] = {{0}, FOR_OUTPUTS(ENTRIES)};

/// Channels `o ..< o + outputs` and `c ..< c + inputs`. Each weight has one vector of sums, in scratch memory, that is added up once. A
/// last vector of lanes that is not full has sums of its own, of which only the live ones are added up.
static void filter_gradient_block(
    const pc_filter_gradient *f, const pc_work *work, int64_t group, int64_t rows, int64_t o0, int64_t outputs, int64_t c0,
    int64_t inputs) {
  const float alpha = work->coefficients[f->alpha], beta = work->coefficients[f->beta];
  const int64_t whole = work->live / W * W, rest = work->live - whole;
  const int64_t area = outputs * inputs * W, all = f->height * f->width * area;
  const float *message = in_tile(&f->message, work) + group * f->message_group + o0 * f->message_channel;
  const float *image = in_tile(&f->image, work) + group * f->image_group + c0 * f->image_channel;
  float *sums = work->scratch, *tails = sums + all;
  memset(sums, 0, sizeof(float) * (size_t)(rest > 0 ? 2 * all : all));
  const Accumulate step = accumulates[outputs][inputs];
  for (int64_t y = 0; y < rows; y++)
    for (int64_t i = 0; i < f->height; i++) {
      const pc_taps *vertical = f->vertical + i;
      if (y >= vertical->count) continue;
      for (int64_t j = 0; j < f->width; j++) {
        const pc_taps *horizontal = f->horizontal + j;
        const float *m = message + vertical->weight + horizontal->weight + y * f->vertical_message;
        const float *v = image + vertical->source + horizontal->source + y * f->vertical_image;
        const int64_t at = (i * f->width + j) * area;
        if (whole > 0) step(f, horizontal->count, whole, m, v, sums + at);
        if (rest > 0) step(f, horizontal->count, W, m + whole, v + whole, tails + at);
      }
    }
  for (int64_t i = 0; i < f->height; i++)
    for (int64_t j = 0; j < f->width; j++)
      for (int64_t o = 0; o < outputs; o++)
        for (int64_t c = 0; c < inputs; c++) {
          const int64_t at = (i * f->width + j) * area + (o * inputs + c) * W;
          float total = sum_of(load(sums + at));
          for (int64_t l = 0; l < rest; l++) total += tails[at + l];
          float *result = out_tile(&f->result, work) + group * f->result_group + (o0 + o) * f->result_output
              + (c0 + c) * f->result_input + i * f->result_row + j * f->result_column;
          *result = beta == 0 ? alpha * total : beta * *result + alpha * total;
        }
}

/// The larger of image and message is read once, and the other, which is likelier to stay in the cache, for each of its blocks.
static void filter_gradient(const void *parameters, const pc_work *work) {
  const pc_filter_gradient *f = parameters;
  const int64_t output_panels = panels_of(f->outputs, MOST_OUTPUTS), input_panels = panels_of(f->inputs, MOST_INPUTS);
  const bool is_image_larger = f->inputs * f->image_channel > f->outputs * f->message_channel;
  const int64_t inner = is_image_larger ? output_panels : input_panels;
  int64_t rows = 0;
  for (int64_t i = 0; i < f->height; i++) rows = f->vertical[i].count > rows ? f->vertical[i].count : rows;
  for (int64_t g = 0; g < f->groups; g++)
    for (int64_t block = 0; block < output_panels * input_panels; block++) {
      const int64_t op = is_image_larger ? block % inner : block / inner;
      const int64_t cp = is_image_larger ? block / inner : block % inner;
      const int64_t o0 = panel_start(f->outputs, output_panels, op), c0 = panel_start(f->inputs, input_panels, cp);
      filter_gradient_block(
          f, work, g, rows, o0, panel_start(f->outputs, output_panels, op + 1) - o0, c0,
          panel_start(f->inputs, input_panels, cp + 1) - c0);
    }
}

static void filter_gradient_any(const void *parameters, const pc_work *work) {
  const pc_filter_gradient *f = parameters;
  const float alpha = work->coefficients[f->alpha], beta = work->coefficients[f->beta];
  const int64_t vectors = vectors_of(f->lanes);
  for (int64_t g = 0; g < f->groups; g++)
    for (int64_t o = 0; o < f->outputs; o++)
      for (int64_t c = 0; c < f->inputs; c++)
        for (int64_t i = 0; i < f->height; i++)
          for (int64_t j = 0; j < f->width; j++) {
            const pc_taps *vertical = f->vertical + i, *horizontal = f->horizontal + j;
            const float *message = in_tile(&f->message, work) + g * f->message_group + o * f->message_channel
                + vertical->weight + horizontal->weight;
            const float *image = in_tile(&f->image, work) + g * f->image_group + c * f->image_channel
                + vertical->source + horizontal->source;
            V sum[MOST_VECTORS];
            for (int64_t v = 0; v < vectors; v++) sum[v] = splat(0);
            for (int64_t y = 0; y < vertical->count; y++)
              for (int64_t x = 0; x < horizontal->count; x++) {
                const float *m = message + y * f->vertical_message + x * f->horizontal_message;
                const float *p = image + y * f->vertical_image + x * f->horizontal_image;
                for (int64_t v = 0; v < vectors; v++) sum[v] += get(m, f->message.lane, v) * get(p, f->image.lane, v);
              }
            float *result = out_tile(&f->result, work) + g * f->result_group + o * f->result_output
                + c * f->result_input + i * f->result_row + j * f->result_column;
            finish(result, f->result.lane, f->sums, sum, vectors, work->live, alpha, beta);
          }
}
