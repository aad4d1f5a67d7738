// Repeated elementwise updates that are linear in what they update: m ← beta · m + alpha · factor · source, step after step.
//
// States read one another in one direction only. So a state makes many steps at once, its numbers and factors in registers,
// and leaves what it was after each step to those that read it; then the next state makes these steps. All this for
// a strip of elements whose steps fit the first-level cache.

#define STRIP 64
#define STEPS 16
/// Vectors that make their steps together: a fused multiply-add of each hides the latency of the others'.
#define CHAINS 4

/// A term's part in some steps: `source` lies `source_step` further on for each of them.
typedef struct {
  float beta;
  const float *factor, *source;
  int64_t source_step;
} Term;

/// What `elementwise` computes, number for number.
INLINE V update(V state, V factor, const float *source, float beta, bool keeps) {
  V added = factor * load(source);
  return keeps ? beta * state + added : added;
}

/// Steps of neighbouring vectors of a state. They end where they began, or, `recorded`, each a strip further on.
INLINE void advance_vectors(
    int vectors, int64_t at, int64_t steps, float *state, const Term *terms, bool keeps, bool two, bool recorded) {
  V now[CHAINS], factor[CHAINS], other[CHAINS];
  Term first = terms[0], second = terms[two];
  state += at, first.factor += at, first.source += at, second.factor += at, second.source += at;
  UNROLL for (int v = 0; v < vectors; v++) {
    now[v] = load(state + v * W);
    factor[v] = load(first.factor + v * W);
    other[v] = load(second.factor + v * W);
  }
  for (int64_t t = 0; t < steps; t++) {
    UNROLL for (int v = 0; v < vectors; v++) {
      now[v] = update(now[v], factor[v], first.source + v * W, first.beta, keeps);
      if (two) now[v] = update(now[v], other[v], second.source + v * W, second.beta, true);
    }
    first.source += first.source_step, second.source += second.source_step;
    if (!recorded) continue;
    state += STRIP;
    UNROLL for (int v = 0; v < vectors; v++) store(state + v * W, now[v]);
  }
  if (!recorded)
    UNROLL for (int v = 0; v < vectors; v++) store(state + v * W, now[v]);
}

typedef void (*Advance)(int64_t count, int64_t steps, float *state, const Term *terms);

#define ADVANCE(keeps, two, recorded)                                                         \
  static void advance_##keeps##two##recorded(                                                 \
      int64_t count, int64_t steps, float *state, const Term *terms) {                        \
    int64_t at = 0;                                                                           \
    for (; at + CHAINS * W <= count; at += CHAINS * W)                                        \
      advance_vectors(CHAINS, at, steps, state, terms, keeps, two, recorded);                 \
    for (; at < count; at += W) advance_vectors(1, at, steps, state, terms, keeps, two, recorded); \
  }

ADVANCE(0, 0, 0)
ADVANCE(0, 0, 1)
ADVANCE(0, 1, 0)
ADVANCE(0, 1, 1)
ADVANCE(1, 0, 0)
ADVANCE(1, 0, 1)
ADVANCE(1, 1, 0)
ADVANCE(1, 1, 1)

/// Whether the first term keeps something of the state, whether there is a second, and whether others read the state.
static const Advance advances[2][2][2] = {
    {{advance_000, advance_001}, {advance_010, advance_011}}, {{advance_100, advance_101}, {advance_110, advance_111}}};

/// alpha times the factor of a strip.
INLINE void scale_factor(const pc_term *term, const pc_work *work, int64_t first, int64_t count, float *scaled) {
  float alpha = work->coefficients[term->alpha];
  const float *x = term->factor.base ? in_tile(&term->factor, work) : NULL;
  for (int64_t i = 0; i < count; i += W) {
    V numbers = splat(1);
    if (x && term->shared == 1) numbers = load(x + first + i);
    else if (x && term->shared % W == 0) numbers = splat(x[(first + i) / term->shared]);
    else if (x) for (int v = 0; v < W; v++) numbers[v] = x[(first + i + v) / term->shared];
    store(scaled + i, alpha * numbers);
  }
}

static void recurrence_strip(const pc_recurrence *r, const pc_work *work, int64_t first, int64_t count) {
  // Each state as the steps left it, the one before them at the front; of one that no other reads, only that.
  float states[PC_MOST_STATES][STEPS + 1][STRIP] __attribute__((aligned(64)));
  float factors[PC_MOST_STATES][PC_MOST_TERMS][STRIP] __attribute__((aligned(64)));
  float ones[STRIP] __attribute__((aligned(64)));
  bool is_read[PC_MOST_STATES] = {false};
  Term terms[PC_MOST_STATES][PC_MOST_TERMS];
  int64_t term_counts[PC_MOST_STATES];
  for (int64_t i = 0; i < STRIP; i += W) store(ones + i, splat(1));
  for (int64_t s = 0; s < r->states; s++) {
    const pc_state *state = r->state + s;
    const float *numbers = in_tile(&state->place, work) + first;
    for (int64_t i = 0; i < count; i += W) store(states[s][0] + i, load(numbers + i));
    term_counts[s] = 0;
    for (int64_t n = 0; n < state->count; n++) {
      const pc_term *term = state->terms + n;
      float beta = work->coefficients[term->beta];
      // What is kept nothing of need not be computed.
      if (beta == 0) term_counts[s] = 0;
      float *factor = factors[s][term_counts[s]];
      scale_factor(term, work, first, count, factor);
      bool varies = term->source >= 0;
      if (varies) is_read[term->source] = true;
      terms[s][term_counts[s]++] = (Term){
          beta, factor, varies ? states[term->source][term->late] : ones, varies ? STRIP : 0};
    }
  }
  for (int64_t done = 0; done < r->repeat; done += STEPS) {
    int64_t steps = r->repeat - done < STEPS ? r->repeat - done : STEPS;
    for (int64_t s = 0; s < r->states; s++)
      advances[terms[s][0].beta != 0][term_counts[s] == 2][is_read[s]](count, steps, states[s][0], terms[s]);
    for (int64_t s = 0; s < r->states; s++)
      for (int64_t i = 0; is_read[s] && i < count; i += W) store(states[s][0] + i, load(states[s][steps] + i));
  }
  for (int64_t s = 0; s < r->states; s++) {
    float *numbers = out_tile(&r->state[s].place, work) + first;
    for (int64_t i = 0; i < count; i += W) store(numbers + i, load(states[s][0] + i));
  }
}

static void recurrence(const void *parameters, const pc_work *work) {
  const pc_recurrence *r = parameters;
  int64_t strips = (r->count + STRIP - 1) / STRIP;
  int64_t last = part_start(strips, work->part + 1, work->parts);
  for (int64_t strip = part_start(strips, work->part, work->parts); strip < last; strip++) {
    int64_t first = strip * STRIP;
    recurrence_strip(r, work, first, r->count - first < STRIP ? r->count - first : STRIP);
  }
}
