// Vectors of W floats and their elementary functions, in the compiler's portable vector arithmetic.
//
// Included once for each instruction set, with W defined and the set's `target` attribute in force. `a * b + c` in one
// expression is one fused operation where the set has it.
//
// Aims, in this order: correct infinities and NaN; relative errors of a few units in the last place; speed. The
// polynomials are Taylor's, after an argument reduction to where their remainder is below half a unit in the last place.

typedef float V __attribute__((vector_size(W * 4), aligned(4), may_alias));
typedef int32_t I __attribute__((vector_size(W * 4), aligned(4), may_alias));
typedef double D __attribute__((vector_size(W * 8), aligned(8), may_alias));
typedef int64_t L __attribute__((vector_size(W * 8), aligned(8), may_alias));

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("clang loop unroll(full)")

INLINE V load(const float *p) { return *(const V *)p; }
INLINE void store(float *p, V x) { *(V *)p = x; }
/// Taking 0 away changes no number, so the compiler leaves the broadcast alone; adding it would turn −0 into 0.
INLINE V splat(float x) { return x - (V){0}; }

/// x where the mask is set, y elsewhere.
INLINE V choose(I mask, V x, V y) { return (V)((mask & (I)x) | (~mask & (I)y)); }
/// x where the mask is set, 0 elsewhere.
INLINE V keep(I mask, V x) { return (V)(mask & (I)x); }

INLINE V absolute(V x) { return (V)((I)x & 0x7fffffff); }
INLINE V with_sign_of(V x, V sign) { return (V)(((I)x & 0x7fffffff) | ((I)sign & (int32_t)0x80000000)); }
INLINE V held_within(V x, float low, float high) {
  x = choose(x < low, splat(low), x);
  return choose(x > high, splat(high), x);
}
/// The nearest whole number, for |x| < 2²²: adding 1.5 · 2²³ leaves no room for a fraction.
INLINE V nearest(V x) { return (x + 0x1.8p23f) - 0x1.8p23f; }
/// 2ⁿ for whole −126 ≤ n ≤ 127.
INLINE V power_of_two(I n) { return (V)((n + 127) << 23); }

/// x = n · ln 2 + r with |r| ≤ ½ ln 2: returns r. The upper part of ln 2 has 9 bits, so that its product with n is exact.
INLINE V reduce_by_ln2(V x, I *n) {
  V whole = nearest(x * 0x1.715476p+0f);
  *n = __builtin_convertvector(whole, I);
  V r = x - whole * 0x1.63p-1f;
  return r + whole * 0x1.bd0106p-13f;
}

/// eʳ − 1 for |r| ≤ ½ ln 2. Pairs of coefficients first: one after the other, each would wait for the one before.
INLINE V exp_minus_one_reduced(V r) {
  V s = r * r;
  V p = s * (r * (1.f / 5040) + 1.f / 720) + (r * (1.f / 120) + 1.f / 24);
  return r + s * (s * p + (r * (1.f / 6) + 0.5f));
}

/// Beyond ±104 the result is 0 or infinity all the same. 2ⁿ is applied in halves because n reaches past 127.
INLINE V exponential(V x) {
  I n;
  V q = exp_minus_one_reduced(reduce_by_ln2(held_within(x, -104, 104), &n));
  I half = n >> 1;
  return (q + 1) * power_of_two(half) * power_of_two(n - half);
}

/// eˣ − 1 = 2ⁿ(eʳ − 1) + (2ⁿ − 1), in which nothing cancels; from 32 on the 1 is lost anyway, and 2ⁿ is applied in halves.
INLINE V exponential_minus_one(V x) {
  I n;
  V q = exp_minus_one_reduced(reduce_by_ln2(held_within(x, -104, 104), &n));
  I half = n >> 1;
  V a = power_of_two(half), b = power_of_two(n - half);
  V small = q * (a * b) + (a * b - 1);
  return choose(x > 32, (q + 1) * a * b, small);
}

/// tanh a = q / (q + 2) with q = e^{2a} − 1 = 2ⁿ(e^{2r} − 1) + (2ⁿ − 1), in which nothing cancels, for a = |x| = n · ½ ln 2 + r.
/// From 10 on it rounds to 1. The polynomial is that of least relative error (1.4e-8): few operations and constants matter,
/// since a core looks only so far ahead. Adding 1.5 · 2²³ + 127 leaves n + 127, the exponent of 2ⁿ, in the lowest bits.
INLINE V hyperbolic_tangent(V x) {
  V a = absolute(x);
  a = choose(a > 10, splat(10), a);
  V shifted = a * 0x1.715476p+1f + 0x1.8000fep23f;
  V scale = (V)((I)shifted << 23);
  V r = a - (shifted - 0x1.8000fep23f) * 0x1.62e430p-2f;
  V p = splat(0x1.6b8cb2p-4f);
  p = p * r + 0x1.1226a6p-2f;
  p = p * r + 0x1.555702p-1f;
  p = p * r + 0x1.5554b2p+0f;
  p = p * r + 0x1.fffffep+0f;
  V q = (p * r + 2) * r * scale + (scale - 1);
  return with_sign_of(q / (q + 2), x);
}

/// 1 / (1 + e⁻ˣ) with e⁻ˣ = 2ⁿ e⁻ʳ, x = r − n · ln 2. From 20 on it rounds to 1; below −88.4 n is 128, 2ⁿ infinite and the result 0, as
/// the true one is below the smallest normal number. The polynomial is that of least relative error (2e-9), as for tanh.
INLINE V sigmoid(V x) {
  x = held_within(x, -88.7f, 20);
  V shifted = 0x1.8000fep23f - x * 0x1.715476p+0f;
  V scale = (V)((I)shifted << 23);
  V whole = shifted - 0x1.8000fep23f;
  V r = x + whole * 0x1.63p-1f;
  r = r - whole * 0x1.bd0106p-13f;
  V p = splat(0x1.6ae668p-10f);
  p = p * r - 0x1.126858p-7f;
  p = p * r + 0x1.555826p-5f;
  p = p * r - 0x1.555418p-3f;
  p = p * r + 0x1.fffffcp-2f;
  p = p * r - 1;
  p = p * r + 1;
  return 1 / (p * scale + 1);
}

/// x = m · 2ᵉ with √½ ≤ m < √2; log m = 2 artanh s = 2s + 2s³/3 + …, s = (m − 1)/(m + 1).
INLINE V logarithm(V x) {
  I bits = (I)x - 0x3f3504f3;
  V e = __builtin_convertvector(bits >> 23, V);
  V m = (V)((bits & 0x007fffff) + 0x3f3504f3);
  V s = (m - 1) / (m + 1);
  V t = s * s;
  V p = splat(2.f / 9);
  p = p * t + 2.f / 7;
  p = p * t + 2.f / 5;
  p = p * t + 2.f / 3;
  V y = e * 0x1.63p-1f + (2 * s + (s * t * p - e * 0x1.bd0106p-13f));
  y = choose(x == 0, splat(-__builtin_inff()), y);
  y = choose((x < 0) | (x != x), splat(__builtin_nanf("")), y);
  return choose(x == __builtin_inff(), x, y);
}

/// log(1 + eˣ) = max(x, 0) + log(1 + u), u = e^−|x| ≤ 1; log(1 + u) = 2 artanh s = 2s + 2s³/3 + …, s = u/(2 + u) ≤ ⅓.
INLINE V softplus(V x) {
  V u = exponential(-absolute(x));
  V s = u / (2 + u);
  V t = s * s;
  V p = splat(2.f / 13);
  p = p * t + 2.f / 11;
  p = p * t + 2.f / 9;
  p = p * t + 2.f / 7;
  p = p * t + 2.f / 5;
  p = p * t + 2.f / 3;
  return choose(x <= 0, splat(0), x) + (2 * s + s * t * p);
}

/// Φ(−a) = e^(−a²/2) · P(t) / (a + 4) for a ≥ 0, with t = (a − 4)/(a + 4): P is the polynomial of degree 9 of least relative
/// error for a ≤ 14.5 (1e-8; a least-squares fit at Chebyshev nodes), beyond which Φ is below the smallest normal number.
/// a² is the exact square of a's upper 12 bits and a rest, so that its rounding is not blown up by the exponential.
INLINE V normal_cumulative(V x) {
  V a = held_within(absolute(x), 0, 14.5f);
  V t = (a - 4) / (a + 4);
  V p = splat(-1.3429612e-4f);
  p = p * t + 1.7516290e-4f;
  p = p * t + 1.5697563e-3f;
  p = p * t - 3.5096987e-3f;
  p = p * t - 7.5245705e-3f;
  p = p * t + 6.0403183e-2f;
  p = p * t - 0.18652359f;
  p = p * t + 0.38713697f;
  p = p * t - 0.60789657f;
  p = p * t + 0.75528514f;
  V upper = (V)((I)a & (int32_t)0xfffff000);
  V rest = (a - upper) * (a + upper);
  V density = exponential(-0.5f * upper * upper) * (1 + exp_minus_one_reduced(-0.5f * rest));
  V tail = density * (p / (a + 4));
  return choose(x > 0, 1 - tail, tail);
}

/// x = n · π/2 + r with |r| ≤ π/4, computed in double: the upper part of π/2 has 33 bits, so that its product with n is
/// exact as long as |n| < 2²⁰. Returns r; only the last two bits of n matter.
INLINE V reduce_by_half_pi(V x, I *n) {
  D wide = __builtin_convertvector(x, D);
  D whole = (wide * 0x1.45f306dc9c883p-1 + 0x1.8p52) - 0x1.8p52;
  *n = __builtin_convertvector(__builtin_convertvector(whole, V), I);
  D r = (wide - whole * 0x1.921fb544p+0) - whole * 0x1.0b4611a626331p-34;
  return __builtin_convertvector(r, V);
}

INLINE V sine_reduced(V r) {
  V t = r * r;
  V p = splat(1.f / 362880);
  p = p * t - 1.f / 5040;
  p = p * t + 1.f / 120;
  p = p * t - 1.f / 6;
  return r + r * t * p;
}

INLINE V cosine_reduced(V r) {
  V t = r * r;
  V p = splat(-1.f / 3628800);
  p = p * t + 1.f / 40320;
  p = p * t - 1.f / 720;
  p = p * t + 1.f / 24;
  return 1 - (0.5f * t - t * t * p);
}

/// Beyond this the C library takes over, number by number.
#define LARGEST_ANGLE 0x1p20f

INLINE bool any(I mask) {
  int32_t found = 0;
  for (int i = 0; i < W; i++) found |= mask[i];
  return found != 0;
}

INLINE V large_angles(V x, V y, double (*function)(double)) {
  I large = absolute(x) > LARGEST_ANGLE;
  if (any(large))
    for (int i = 0; i < W; i++)
      if (large[i]) y[i] = (float)function(x[i]);
  return y;
}

INLINE V sine(V x) {
  I n;
  V r = reduce_by_half_pi(x, &n);
  V y = choose((n & 1) != 0, cosine_reduced(r), sine_reduced(r));
  return large_angles(x, (V)((I)y ^ ((n & 2) << 30)), sin);
}

INLINE V cosine(V x) {
  I n;
  V r = reduce_by_half_pi(x, &n);
  V y = choose((n & 1) != 0, sine_reduced(r), cosine_reduced(r));
  return large_angles(x, (V)((I)y ^ (((n + 1) & 2) << 30)), cos);
}

INLINE V tangent(V x) {
  I n;
  V r = reduce_by_half_pi(x, &n);
  V s = sine_reduced(r), c = cosine_reduced(r);
  I odd = (n & 1) != 0;
  return large_angles(x, choose(odd, -c, s) / choose(odd, s, c), tan);
}

// MARK: Lanes
//
// A value of a tile is `lanes` floats, so lanes / W vectors; a value that all examples share counts as one vector of
// equal numbers, of which the first is stored.

#define MOST_VECTORS (32 / W)

// MARK: Turning
//
// Four neighbouring numbers of each of W rows, as four vectors that each have a number of every row: the rows are read in quads, of which
// a vector holds W / 4, four rows apart, and each four of them are turned in place.

#if W == 4
#define QUADS(DO) DO(0)
INLINE V load_quads(const float *from, int64_t step) { (void)step; return *(const Quad *)from; }
INLINE void store_quads(float *to, int64_t step, V x) { (void)step; *(Quad *)to = x; }
#elif W == 8
#define QUADS(DO) DO(0), DO(4)
INLINE V load_quads(const float *from, int64_t step) {
  return __builtin_shufflevector(*(const Quad *)from, *(const Quad *)(from + step), 0, 1, 2, 3, 4, 5, 6, 7);
}
INLINE void store_quads(float *to, int64_t step, V x) {
  *(Quad *)to = __builtin_shufflevector(x, x, 0, 1, 2, 3);
  *(Quad *)(to + step) = __builtin_shufflevector(x, x, 4, 5, 6, 7);
}
#else
#define QUADS(DO) DO(0), DO(4), DO(8), DO(12)
typedef float Octet __attribute__((vector_size(32)));
INLINE Octet load_pair(const float *from, int64_t step) {
  return __builtin_shufflevector(*(const Quad *)from, *(const Quad *)(from + step), 0, 1, 2, 3, 4, 5, 6, 7);
}
INLINE V load_quads(const float *from, int64_t step) {
  return __builtin_shufflevector(
      load_pair(from, step), load_pair(from + 2 * step, step), 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}
INLINE void store_quads(float *to, int64_t step, V x) {
  *(Quad *)to = __builtin_shufflevector(x, x, 0, 1, 2, 3);
  *(Quad *)(to + step) = __builtin_shufflevector(x, x, 4, 5, 6, 7);
  *(Quad *)(to + 2 * step) = __builtin_shufflevector(x, x, 8, 9, 10, 11);
  *(Quad *)(to + 3 * step) = __builtin_shufflevector(x, x, 12, 13, 14, 15);
}
#endif

#define LOW_IN_TURN(k) k, W + k, k + 1, W + k + 1
#define HIGH_IN_TURN(k) k + 2, W + k + 2, k + 3, W + k + 3
#define LOW_PAIRS(k) k, k + 1, W + k, W + k + 1
#define HIGH_PAIRS(k) k + 2, k + 3, W + k + 2, W + k + 3

/// Turns the quads of four vectors: number j of quad i becomes number i of quad j. Twice, everything is where it was.
INLINE void turn_quads(V x[4]) {
  const V a = __builtin_shufflevector(x[0], x[1], QUADS(LOW_IN_TURN));
  const V b = __builtin_shufflevector(x[2], x[3], QUADS(LOW_IN_TURN));
  const V c = __builtin_shufflevector(x[0], x[1], QUADS(HIGH_IN_TURN));
  const V d = __builtin_shufflevector(x[2], x[3], QUADS(HIGH_IN_TURN));
  x[0] = __builtin_shufflevector(a, b, QUADS(LOW_PAIRS)), x[1] = __builtin_shufflevector(a, b, QUADS(HIGH_PAIRS));
  x[2] = __builtin_shufflevector(c, d, QUADS(LOW_PAIRS)), x[3] = __builtin_shufflevector(c, d, QUADS(HIGH_PAIRS));
}

INLINE void load_turned(const float *from, int64_t row, V x[4]) {
  UNROLL for (int i = 0; i < 4; i++) x[i] = load_quads(from + i * row, 4 * row);
  turn_quads(x);
}

INLINE void store_turned(float *to, int64_t row, V x[4]) {
  turn_quads(x);
  UNROLL for (int i = 0; i < 4; i++) store_quads(to + i * row, 4 * row, x[i]);
}

// MARK: Lanes and shares

INLINE int64_t vectors_of(int64_t lanes) { return lanes < W ? 1 : lanes / W; }

INLINE const float *in_tile(const pc_place *place, const pc_work *work) { return place->base + work->tile * place->tile; }
INLINE float *out_tile(const pc_place *place, const pc_work *work) { return place->base + work->tile * place->tile; }

INLINE V get(const float *p, int64_t lane, int64_t vector) { return lane ? load(p + vector * W) : splat(*p); }

/// β times what is there, which is not read where β is 0, and the value.
INLINE V blended(const float *at, V value, float beta) { return beta == 0 ? value : beta * load(at) + value; }

INLINE void blend(float *p, int64_t lane, int64_t vector, V value, float alpha, float beta) {
  value *= alpha;
  if (lane) {
    float *at = p + vector * W;
    store(at, blended(at, value, beta));
  } else {
    *p = beta == 0 ? value[0] : beta * *p + value[0];
  }
}

/// Sums of neighbours, those of `x` first.
INLINE V add_pairs(V x, V y) {
#if W == 16
  return __builtin_shufflevector(x, y, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30)
      + __builtin_shufflevector(x, y, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
#elif W == 8
  return __builtin_shufflevector(x, y, 0, 2, 4, 6, 8, 10, 12, 14) + __builtin_shufflevector(x, y, 1, 3, 5, 7, 9, 11, 13, 15);
#else
  return __builtin_shufflevector(x, y, 0, 2, 4, 6) + __builtin_shufflevector(x, y, 1, 3, 5, 7);
#endif
}

/// The sum of a vector's numbers: in order each would wait for the one before.
INLINE float sum_of(V x) {
  UNROLL for (int count = W; count > 1; count /= 2) x = add_pairs(x, x);
  return x[0];
}

/// The sums of as many vectors as one has numbers, each as `sum_of` has it.
INLINE V sums_of(V x[W]) {
  UNROLL for (int count = W; count > 1; count /= 2) {
    UNROLL for (int i = 0; i < count / 2; i++) x[i] = add_pairs(x[2 * i], x[2 * i + 1]);
  }
  return x[0];
}

/// Stores the vectors of one value, or their sum over the live lanes.
INLINE void finish(
    float *p, int64_t lane, bool sums, const V *value, int64_t vectors, int64_t live, float alpha, float beta) {
  if (sums) {
    int64_t l = 0;
    // Whole vectors first: a sum of 32 numbers one after the other would wait for each.
    V whole = splat(0);
    for (; l + W <= live; l += W) whole += value[l / W];
    float total = l > 0 ? sum_of(whole) : 0;
    for (; l < live; l++) total += ((const float *)value)[l];
    total *= alpha;
    *p = beta == 0 ? total : beta * *p + total;
  } else {
    for (int64_t v = 0; v < vectors; v++) blend(p, lane, v, value[v], alpha, beta);
  }
}

// MARK: Parts

/// The part of `count` that is this thread's.
INLINE int64_t part_start(int64_t count, int64_t part, int64_t parts) { return count * part / parts; }

/// Where a part begins of elements that threads share out in multiples of 16, so that no two write to one cache line.
INLINE int64_t elements_before(int64_t count, int64_t part, int64_t parts) {
  const int64_t before = 16 * part_start((count + 15) / 16, part, parts);
  return before < count ? before : count;
}

/// Rows of weights go in panels of `height` rows at most, as even as can be.
INLINE int64_t panels_of(int64_t rows, int64_t height) { return (rows + height - 1) / height; }
INLINE int64_t panel_start(int64_t rows, int64_t panels, int64_t panel) { return rows * panel / panels; }

/// The row at which a part of the panels begins.
INLINE int64_t rows_before(int64_t rows, int64_t panels, int64_t part, int64_t parts) {
  return panel_start(rows, panels, part_start(panels, part, parts));
}
