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

/// For shared, packed filters and at least one vector of lanes. The vectors of a block are two or four of a column's lanes, or,
/// where a vector holds all of them, two neighbouring columns with the same taps. Threads that share one tile take rows of their own.
static void convolution(const void *parameters, const pc_work *work) {
  const pc_convolution *c = parameters;
  const float alpha = work->coefficients[c->alpha], beta = work->coefficients[c->beta];
  const Micro *const micros = micros_of(c->panel_height);
  const int64_t breadth = breadth_of(c->panel_height);
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
        float *result =
            out_tile(&c->result, work) + g * c->result_group + y * c->result_row + first * c->result_channel;
        for (int64_t x = 0; x < c->width; x++) {
          const pc_taps *horizontal = c->horizontal + x, *next = horizontal + 1;
          const Loops loops = convolution_loops(c, vertical, horizontal, rows);
          const float *w = weights + rows * horizontal->weight, *s = source + horizontal->source;
          float *r = result + x * c->result_column;
          if (c->lanes > W) {
            for (int64_t l = 0; l < c->lanes; l += breadth)
              micros[rows](&loops, w, s + l, W, r + l, c->result_channel, W, alpha, beta);
          } else if (x + 1 < c->width && next->count == horizontal->count && next->weight == horizontal->weight) {
            micro_two[rows](
                &loops, w, s, next->source - horizontal->source, r, c->result_channel, c->result_column, alpha, beta);
            x++;
          } else {
            micro_one[rows](&loops, w, s, W, r, c->result_channel, W, alpha, beta);
          }
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
          const pc_taps *vertical = c->vertical + y, *horizontal = c->horizontal + x;
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
          float *result = out_tile(&c->result, work) + g * c->result_group + r * c->result_channel
              + y * c->result_row + x * c->result_column;
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
#define ACCUMULATE_ROW(O) ACCUMULATE(O, 1) ACCUMULATE(O, 2) ACCUMULATE(O, 3)
ACCUMULATE_ROW(1)
ACCUMULATE_ROW(2)
ACCUMULATE_ROW(3)
ACCUMULATE_ROW(4)
#define ACCUMULATES(O) \
  { 0, accumulate_##O##_1, accumulate_##O##_2, accumulate_##O##_3 }
static const Accumulate accumulates[MOST_OUTPUTS + 1][MOST_INPUTS + 1] = {
    {0}, ACCUMULATES(1), ACCUMULATES(2), ACCUMULATES(3), ACCUMULATES(4)};

/// Each weight has one vector of sums, in scratch memory, that is added up once per tile. A last vector of lanes that is not
/// full has sums of its own, of which only the live ones are added up.
static void filter_gradient(const void *parameters, const pc_work *work) {
  const pc_filter_gradient *f = parameters;
  const float alpha = work->coefficients[f->alpha], beta = work->coefficients[f->beta];
  const int64_t output_panels = (f->outputs + MOST_OUTPUTS - 1) / MOST_OUTPUTS;
  const int64_t input_panels = (f->inputs + MOST_INPUTS - 1) / MOST_INPUTS;
  int64_t rows = 0;
  for (int64_t i = 0; i < f->height; i++) rows = f->vertical[i].count > rows ? f->vertical[i].count : rows;
  const int64_t whole = work->live / W * W, rest = work->live - whole;
  for (int64_t g = 0; g < f->groups; g++)
    for (int64_t op = 0; op < output_panels; op++)
      for (int64_t cp = 0; cp < input_panels; cp++) {
        int64_t o0 = panel_start(f->outputs, output_panels, op);
        int64_t outputs = panel_start(f->outputs, output_panels, op + 1) - o0;
        int64_t c0 = panel_start(f->inputs, input_panels, cp);
        int64_t inputs = panel_start(f->inputs, input_panels, cp + 1) - c0;
        const int64_t area = outputs * inputs * W;
        const float *message = in_tile(&f->message, work) + g * f->message_group + o0 * f->message_channel;
        const float *image = in_tile(&f->image, work) + g * f->image_group + c0 * f->image_channel;
        float *sums = work->scratch, *tails = sums + f->height * f->width * area;
        memset(sums, 0, sizeof(float) * (size_t)(2 * f->height * f->width * area));
        Accumulate step = accumulates[outputs][inputs];
        for (int64_t y = 0; y < rows; y++)
          for (int64_t i = 0; i < f->height; i++) {
            const pc_taps *vertical = f->vertical + i;
            if (y >= vertical->count) continue;
            for (int64_t j = 0; j < f->width; j++) {
              const pc_taps *horizontal = f->horizontal + j;
              const float *m = message + vertical->weight + horizontal->weight + y * f->vertical_message;
              const float *v = image + vertical->source + horizontal->source + y * f->vertical_image;
              int64_t at = (i * f->width + j) * area;
              if (whole > 0) step(f, horizontal->count, whole, m, v, sums + at);
              if (rest > 0) step(f, horizontal->count, W, m + whole, v + whole, tails + at);
            }
          }
        for (int64_t i = 0; i < f->height; i++)
          for (int64_t j = 0; j < f->width; j++)
            for (int64_t o = 0; o < outputs; o++)
              for (int64_t c = 0; c < inputs; c++) {
                int64_t at = (i * f->width + j) * area + (o * inputs + c) * W;
                float total = 0;
                for (int64_t l = 0; l < W; l++) total += sums[at + l];
                for (int64_t l = 0; l < rest; l++) total += tails[at + l];
                float *result = out_tile(&f->result, work) + g * f->result_group + (o0 + o) * f->result_output
                    + (c0 + c) * f->result_input + i * f->result_row + j * f->result_column;
                *result = beta == 0 ? alpha * total : beta * *result + alpha * total;
              }
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
