// Rounds of a repeated section beside one another in the lanes; see `StepsInLanes`.

/// Each round sees the same numbers.
static void spread(const void *parameters, const pc_work *work) {
  const pc_rounds *r = parameters;
  const int64_t first = elements_before(r->count, work->part, work->parts);
  const int64_t last = elements_before(r->count, work->part + 1, work->parts);
  for (int64_t e = first; e < last; e++) {
    const float *own = r->own + e * r->own_lanes;
    float *rounds = r->rounds + e * r->lanes;
    for (int64_t l = 0; l < r->lanes; l += r->examples)
      for (int64_t b = 0; b < r->examples; b++) rounds[l + b] = own[b];
  }
}

/// What a round by itself would have left.
static void last_round(const void *parameters, const pc_work *work) {
  const pc_rounds *r = parameters;
  const int64_t first = elements_before(r->count, work->part, work->parts);
  const int64_t last = elements_before(r->count, work->part + 1, work->parts);
  for (int64_t e = first; e < last; e++)
    for (int64_t b = 0; b < r->examples; b++)
      r->own[e * r->own_lanes + b] = r->rounds[e * r->lanes + work->live - r->examples + b];
}

/// Elements that `follow` takes at once: one waits for its own last round, others need not.
enum { abreast = 4 };

/// Rounds that are not wanted keep what they held.
INLINE void follow(
    const pc_course *c, const int count, const int examples, int64_t first, int64_t live, float beta) {
  const pc_rounds *r = &c->rounds;
  float *own = r->own + first * r->own_lanes, *rounds = r->rounds + first * r->lanes;
  const float *update = c->update + first * r->lanes;
  float state[abreast][16];
  UNROLL for (int e = 0; e < count; e++) {
    UNROLL for (int b = 0; b < examples; b++) state[e][b] = own[e * r->own_lanes + b];
  }
  for (int64_t l = 0; l < live; l += examples)
    UNROLL for (int e = 0; e < count; e++) {
      UNROLL for (int b = 0; b < examples; b++) {
        const int64_t at = e * r->lanes + l + b;
        const float before = state[e][b];
        const float after = beta == 0 ? update[at] : beta * before + update[at];
        rounds[at] = c->after ? after : before;
        state[e][b] = after;
      }
    }
  UNROLL for (int e = 0; e < count; e++) {
    UNROLL for (int b = 0; b < examples; b++) own[e * r->own_lanes + b] = state[e][b];
  }
}

/// As `follow`, for rounds that fill vectors.
INLINE void follow_vectors(const pc_course *c, int64_t first, int64_t live, float beta) {
  const pc_rounds *r = &c->rounds;
  float *own = r->own + first * r->own_lanes, *rounds = r->rounds + first * r->lanes;
  const float *update = c->update + first * r->lanes;
  for (int64_t b = 0; b < r->examples; b += W) {
    V state = load(own + b);
    for (int64_t l = b; l < live; l += r->examples) {
      const V after = beta == 0 ? load(update + l) : beta * state + load(update + l);
      store(rounds + l, c->after ? after : state);
      state = after;
    }
    store(own + b, state);
  }
}

static void course(const void *parameters, const pc_work *work) {
  const pc_course *c = parameters;
  const float beta = work->coefficients[c->beta];
  int64_t e = elements_before(c->rounds.count, work->part, work->parts);
  const int64_t last = elements_before(c->rounds.count, work->part + 1, work->parts);
#define FOLLOW(examples)                                                                        \
  case examples:                                                                                \
    for (; e + abreast <= last; e += abreast) follow(c, abreast, examples, e, work->live, beta); \
    for (; e < last; e++) follow(c, 1, examples, e, work->live, beta);                          \
    break;
  if (c->rounds.examples % W == 0)
    for (; e < last; e++) follow_vectors(c, e, work->live, beta);
  switch (c->rounds.examples) {
    FOLLOW(1)
    FOLLOW(2)
    FOLLOW(4)
    FOLLOW(8)
  }
}
