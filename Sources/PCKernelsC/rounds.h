// Rounds of a repeated section beside one another in the lanes; see `StepsInLanes`.

/// Each round sees the same numbers. Few examples fill a vector several times.
INLINE void spread_elements(const pc_rounds *r, const int examples, int64_t first, int64_t last) {
  for (int64_t e = first; e < last; e++) {
    const float *own = r->own + e * r->own_lanes;
    float *rounds = r->rounds + e * r->lanes;
    V numbers;
    UNROLL for (int l = 0; l < W; l++) numbers[l] = own[l % examples];
    for (int64_t l = 0; l < r->lanes; l += W) store(rounds + l, numbers);
  }
}

static void spread(const void *parameters, const pc_work *work) {
  const pc_rounds *r = parameters;
  const int64_t first = elements_before(r->count, work->part, work->parts);
  const int64_t last = elements_before(r->count, work->part + 1, work->parts);
  switch (r->examples) {
  case 1: spread_elements(r, 1, first, last); break;
  case 2: spread_elements(r, 2, first, last); break;
  case 4: spread_elements(r, 4, first, last); break;
#if W > 8
  case 8: spread_elements(r, 8, first, last); break;
#endif
  default:
    for (int64_t e = first; e < last; e++)
      for (int64_t l = 0; l < r->lanes; l += W)
        store(r->rounds + e * r->lanes + l, load(r->own + e * r->own_lanes + l % r->examples));
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

/// Rounds that are not wanted keep what they held.
INLINE void follow(const pc_course *c, const int examples, int64_t element, int64_t live, float beta) {
  const pc_rounds *r = &c->rounds;
  float *own = r->own + element * r->own_lanes, *rounds = r->rounds + element * r->lanes;
  const float *update = c->update + element * r->lanes;
  for (int b = 0; b < examples; b++) {
    float state = own[b];
    for (int64_t l = b; l < live; l += examples) {
      const float after = beta == 0 ? update[l] : beta * state + update[l];
      rounds[l] = c->after ? after : state;
      state = after;
    }
    own[b] = state;
  }
}

/// As `follow`, for as many elements as fill a vector and whole quads of lanes: turned, so that no element waits for its own last round
/// while others could go on.
INLINE void follow_turned(const pc_course *c, const int examples, int64_t first, int64_t live, float beta) {
  const pc_rounds *r = &c->rounds;
  const int together = examples < 4 ? 4 : examples;
  float *own = r->own + first * r->own_lanes, *rounds = r->rounds + first * r->lanes;
  const float *update = c->update + first * r->lanes;
  const bool is_single = r->own_lanes == 1;
  V state[together];
  if (is_single)
    state[0] = load(own);
  else
    UNROLL for (int b = 0; b < together; b += 4) load_turned(own + b, r->own_lanes, state + b);
  for (int64_t l = 0; l < live; l += together)
    UNROLL for (int quad = 0; quad < together; quad += 4) {
      V lanes[4];
      load_turned(update + l + quad, r->lanes, lanes);
      UNROLL for (int i = 0; i < 4; i++) {
        const int b = (quad + i) % examples;
        const V after = beta == 0 ? lanes[i] : beta * state[b] + lanes[i];
        lanes[i] = c->after ? after : state[b];
        state[b] = after;
      }
      store_turned(rounds + l + quad, r->lanes, lanes);
    }
  if (is_single)
    store(own, state[0]);
  else
    UNROLL for (int b = 0; b < together; b += 4) store_turned(own + b, r->own_lanes, state + b);
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
  const int64_t live = work->live;
  int64_t e = elements_before(c->rounds.count, work->part, work->parts);
  const int64_t last = elements_before(c->rounds.count, work->part + 1, work->parts);
#define FOLLOW(examples)                                                                                   \
  case examples:                                                                                           \
    for (; live % 4 == 0 && e + W <= last; e += W) follow_turned(c, examples, e, live, beta);              \
    for (; e < last; e++) follow(c, examples, e, live, beta);                                              \
    break;
  if (c->rounds.examples % W == 0)
    for (; e < last; e++) follow_vectors(c, e, live, beta);
  switch (c->rounds.examples) {
    FOLLOW(1)
    FOLLOW(2)
    FOLLOW(4)
    FOLLOW(8)
  }
}
