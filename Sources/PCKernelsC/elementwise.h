// Elementwise functions over strided index spaces.
//
// A row of the innermost axis is worked through in chunks. In a chunk every operand is contiguous (step W), one number
// for all (step 0, read from a vector of copies), or gathered into local memory first; so each function is
// one loop without cases. A result that is strided, or the rest of a row that fills no vector, is computed in local memory
// and copied out.

#define CHUNK 256

typedef struct {
  const float *at;
  int64_t step;
} Stream;

typedef void (*RowFunction)(
    int64_t count, float *result, Stream x, Stream y, Stream z, float alpha, float beta, float limit);

#define ROW_LOOP(scaled, stored)                             \
  for (int64_t i = 0; i < count; i += W) {                   \
    V x = load(xs.at), y = load(ys.at), z = load(zs.at);     \
    (void)x, (void)y, (void)z, (void)limit;                  \
    V computed = scaled;                                     \
    store(result + i, stored);                               \
    xs.at += xs.step, ys.at += ys.step, zs.at += zs.step;    \
  }

#define SCALED_ROW_FUNCTION(name, scaled)                                                                     \
  static void row_##name(                                                                                     \
      int64_t count, float *result, Stream xs, Stream ys, Stream zs, float alpha, float beta, float limit) {  \
    if (beta == 0)                                                                                            \
      ROW_LOOP(scaled, computed)                                                                              \
    else                                                                                                      \
      ROW_LOOP(scaled, beta * load(result + i) + computed)                                                    \
  }

#define ROW_FUNCTION(name, value) SCALED_ROW_FUNCTION(name, alpha * (value))

/// For functions that cost no more than the loop around them: contiguous operands are told apart, and the loop is unrolled.
#define CHEAP_LOOP(scaled, stored)                           \
  _Pragma("clang loop unroll_count(4)")                      \
  for (int64_t i = 0; i < count; i += W) {                   \
    V x = load(xs.at + i), y = load(ys.at + i), z = load(zs.at + i); \
    (void)x, (void)y, (void)z, (void)limit;                  \
    V computed = scaled;                                     \
    store(result + i, stored);                               \
  }

#define SCALED_CHEAP_FUNCTION(name, arity, scaled)                                                            \
  SCALED_ROW_FUNCTION(strided_##name, scaled)                                                                 \
  static void row_##name(                                                                                     \
      int64_t count, float *result, Stream xs, Stream ys, Stream zs, float alpha, float beta, float limit) {  \
    if (xs.step == 0 || (arity > 1 && ys.step == 0) || (arity > 2 && zs.step == 0)) {                         \
      row_strided_##name(count, result, xs, ys, zs, alpha, beta, limit);                                      \
      return;                                                                                                 \
    }                                                                                                         \
    if (beta == 0)                                                                                            \
      CHEAP_LOOP(scaled, computed)                                                                            \
    else                                                                                                      \
      CHEAP_LOOP(scaled, beta * load(result + i) + computed)                                                  \
  }

#define CHEAP_FUNCTION(name, arity, value) SCALED_CHEAP_FUNCTION(name, arity, alpha * (value))

ROW_FUNCTION(one, splat(1))
CHEAP_FUNCTION(identity, 1, x)
ROW_FUNCTION(reciprocal, 1 / x)
ROW_FUNCTION(exp, exponential(x))
ROW_FUNCTION(log, logarithm(x))
ROW_FUNCTION(sqrt, __builtin_elementwise_sqrt(x))
ROW_FUNCTION(sin, sine(x))
ROW_FUNCTION(cos, cosine(x))
ROW_FUNCTION(tan, tangent(x))
ROW_FUNCTION(tanh, hyperbolic_tangent(x))
ROW_FUNCTION(sigmoid, sigmoid(x))
ROW_FUNCTION(absolute, absolute(x))
ROW_FUNCTION(exp_minus_one, exponential_minus_one(x))
ROW_FUNCTION(softplus, softplus(x))
ROW_FUNCTION(normal_cumulative, normal_cumulative(x))
ROW_FUNCTION(relu, choose(x <= 0, splat(0), x))
ROW_FUNCTION(step, keep(x > 0, splat(1)))
CHEAP_FUNCTION(one_minus_square, 1, 1 - x * x)
ROW_FUNCTION(one_plus_square, 1 + x * x)
CHEAP_FUNCTION(logistic_slope, 1, x * (1 - x))
CHEAP_FUNCTION(times_one_minus_square, 2, y * (1 - x * x))
CHEAP_FUNCTION(times_logistic_slope, 2, y * (x * (1 - x)))
CHEAP_FUNCTION(times_step, 2, keep(x > 0, y))
ROW_FUNCTION(clip, held_within(x, -limit, limit))
CHEAP_FUNCTION(add, 2, x + y)
CHEAP_FUNCTION(subtract, 2, x - y)
// In this order a recurrence scales a constant x once for all steps.
SCALED_CHEAP_FUNCTION(multiply, 2, alpha *x *y)
ROW_FUNCTION(divide, x / y)
ROW_FUNCTION(maximum, choose(y >= x, y, x))
ROW_FUNCTION(minimum, choose(y < x, y, x))
ROW_FUNCTION(greater, keep(x > y, splat(1)))
CHEAP_FUNCTION(select, 3, choose(x != 0, y, z))

static const RowFunction row_functions[PC_OPERATIONS] = {
    [PC_ONE] = row_one,
    [PC_IDENTITY] = row_identity,
    [PC_RECIPROCAL] = row_reciprocal,
    [PC_EXP] = row_exp,
    [PC_LOG] = row_log,
    [PC_SQRT] = row_sqrt,
    [PC_SIN] = row_sin,
    [PC_COS] = row_cos,
    [PC_TAN] = row_tan,
    [PC_TANH] = row_tanh,
    [PC_SIGMOID] = row_sigmoid,
    [PC_ABSOLUTE] = row_absolute,
    [PC_EXP_MINUS_ONE] = row_exp_minus_one,
    [PC_SOFTPLUS] = row_softplus,
    [PC_NORMAL_CUMULATIVE] = row_normal_cumulative,
    [PC_RELU] = row_relu,
    [PC_STEP] = row_step,
    [PC_ONE_MINUS_SQUARE] = row_one_minus_square,
    [PC_ONE_PLUS_SQUARE] = row_one_plus_square,
    [PC_LOGISTIC_SLOPE] = row_logistic_slope,
    [PC_TIMES_ONE_MINUS_SQUARE] = row_times_one_minus_square,
    [PC_TIMES_LOGISTIC_SLOPE] = row_times_logistic_slope,
    [PC_TIMES_STEP] = row_times_step,
    [PC_CLIP] = row_clip,
    [PC_ADD] = row_add,
    [PC_SUBTRACT] = row_subtract,
    [PC_MULTIPLY] = row_multiply,
    [PC_DIVIDE] = row_divide,
    [PC_MAXIMUM] = row_maximum,
    [PC_MINIMUM] = row_minimum,
    [PC_GREATER] = row_greater,
    [PC_SELECT] = row_select,
};

/// One operand within a chunk; `local` has room for a chunk.
INLINE Stream stream_of(const float *at, int64_t stride, int64_t count, bool whole_vectors, float *local) {
  if (stride == 0) {
    store(local, splat(*at));
    return (Stream){local, 0};
  }
  if (stride == 1 && whole_vectors) return (Stream){at, W};
  for (int64_t i = 0; i < count; i++) local[i] = at[i * stride];
  for (int64_t i = count; i % W != 0; i++) local[i] = 0;
  return (Stream){local, W};
}

static void elementwise_chunk(
    const pc_elementwise *e, RowFunction function, const pc_axis *axis, int64_t count, float *result, const float *x,
    const float *y, const float *z, float alpha, float beta) {
  float local[4][CHUNK] __attribute__((aligned(64)));
  bool whole = count % W == 0;
  // What the function does not take is not read either: another thread may be writing there.
  Stream xs = {local[0], 0};
  if (e->arity < 1) store(local[0], splat(0));
  else xs = stream_of(x, axis->x, count, whole, local[0]);
  Stream ys = e->arity < 2 ? xs : stream_of(y, axis->y, count, whole, local[1]);
  Stream zs = e->arity < 3 ? xs : stream_of(z, axis->z, count, whole, local[2]);
  if (whole && axis->result == 1) {
    function(count, result, xs, ys, zs, alpha, beta, e->limit);
  } else {
    int64_t padded = (count + W - 1) / W * W;
    if (beta != 0) {
      for (int64_t i = 0; i < count; i++) local[3][i] = result[i * axis->result];
      for (int64_t i = count; i < padded; i++) local[3][i] = 0;
    }
    function(padded, local[3], xs, ys, zs, alpha, beta, e->limit);
    for (int64_t i = 0; i < count; i++) result[i * axis->result] = local[3][i];
  }
}

/// Whether whole vectors of a row need no local memory, so that a chunk of them may have any length.
INLINE bool is_direct(const pc_axis *a) {
  return a->result == 1 && a->x <= 1 && a->x >= 0 && a->y <= 1 && a->y >= 0 && a->z <= 1 && a->z >= 0;
}

static void elementwise_row(
    const pc_elementwise *e, RowFunction function, const pc_axis *axis, int64_t count, float *result, const float *x,
    const float *y, const float *z, float alpha, float beta) {
  bool direct = is_direct(axis);
  for (int64_t i = 0; i < count;) {
    int64_t rest = count - i;
    int64_t n = direct && rest >= W ? rest / W * W : rest < CHUNK ? rest : CHUNK;
    elementwise_chunk(
        e, function, axis, n, result + i * axis->result, x + i * axis->x, y + i * axis->y, z + i * axis->z, alpha,
        beta);
    i += n;
  }
}

/// Moves short rows, of whole vectors.
INLINE void copy_rows(
    int64_t rows, int64_t width, const float *source, int64_t source_row, float *target, int64_t target_row) {
  for (int64_t row = 0; row < rows; row++)
    for (int64_t i = 0; i < width; i += W) store(target + row * target_row + i, load(source + row * source_row + i));
}

/// Neighbouring rows of one operand, each of which is one number or contiguous; `local` has room for a chunk.
INLINE Stream rows_of(const float *at, int64_t outer, int64_t inner, int64_t rows, int64_t width, float *local) {
  if (inner == 1 && outer == width) return (Stream){at, W};
  if (inner == 1) {
    copy_rows(rows, width, at, outer, local, width);
  } else {
    for (int64_t row = 0; row < rows; row++) {
      V number = splat(at[row * outer]);
      for (int64_t i = 0; i < width; i += W) store(local + row * width + i, number);
    }
  }
  return (Stream){local, W};
}

/// Short rows, such as the lanes of single elements, as many together as fill a chunk.
static void elementwise_rows(
    const pc_elementwise *e, RowFunction function, const pc_axis *axis, int64_t count, float *result, const float *x,
    const float *y, const float *z, float alpha, float beta) {
  float local[4][CHUNK] __attribute__((aligned(64)));
  const pc_axis a = axis[0], lanes = axis[1];
  const int64_t width = lanes.count, most = CHUNK / width;
  const bool direct = a.result == width;
  for (int64_t i = 0; i < count; i += most) {
    int64_t rows = count - i < most ? count - i : most;
    Stream xs = rows_of(x + i * a.x, a.x, lanes.x, rows, width, local[0]);
    Stream ys = e->arity < 2 ? xs : rows_of(y + i * a.y, a.y, lanes.y, rows, width, local[1]);
    Stream zs = e->arity < 3 ? xs : rows_of(z + i * a.z, a.z, lanes.z, rows, width, local[2]);
    float *at = result + i * a.result, *to = direct ? at : local[3];
    if (!direct && beta != 0) copy_rows(rows, width, at, a.result, to, width);
    function(rows * width, to, xs, ys, zs, alpha, beta, e->limit);
    if (!direct) copy_rows(rows, width, to, width, at, a.result);
  }
}

static void elementwise_axis(
    const pc_elementwise *e, RowFunction function, int64_t axis, int64_t first, int64_t last, float *result,
    const float *x, const float *y, const float *z, float alpha, float beta) {
  const pc_axis *a = e->axes + axis;
  result += first * a->result, x += first * a->x, y += first * a->y, z += first * a->z;
  if (axis + 1 == e->rank) {
    elementwise_row(e, function, a, last - first, result, x, y, z, alpha, beta);
    return;
  }
  int64_t width = a[1].count;
  if (axis + 2 == e->rank && e->arity > 0 && is_direct(a + 1) && width % W == 0 && 2 * width <= CHUNK) {
    elementwise_rows(e, function, a, last - first, result, x, y, z, alpha, beta);
    return;
  }
  if (axis + 2 == e->rank && is_direct(a + 1) && width % W == 0) {
    for (int64_t i = first; i < last; i++, result += a->result, x += a->x, y += a->y, z += a->z)
      elementwise_chunk(e, function, a + 1, width, result, x, y, z, alpha, beta);
    return;
  }
  for (int64_t i = first; i < last; i++) {
    elementwise_axis(e, function, axis + 1, 0, a[1].count, result, x, y, z, alpha, beta);
    result += a->result, x += a->x, y += a->y, z += a->z;
  }
}

/// Parts of the outermost axis.
INLINE int64_t outermost_before(const pc_elementwise *e, const pc_work *work, int64_t part) {
  return work->rows == 0 ? elements_before(e->axes->count, part, work->parts)
                         : e->axes->count / work->rows * rows_before(work->rows, work->panels, part, work->parts);
}

static void elementwise(const void *parameters, const pc_work *work) {
  const pc_elementwise *e = parameters;
  const int64_t first = outermost_before(e, work, work->part), last = outermost_before(e, work, work->part + 1);
  if (first >= last) return;
  elementwise_axis(
      e, row_functions[e->operation], 0, first, last, out_tile(&e->result, work), in_tile(&e->x, work),
      in_tile(&e->y, work), in_tile(&e->z, work), work->coefficients[e->alpha], work->coefficients[e->beta]);
}
