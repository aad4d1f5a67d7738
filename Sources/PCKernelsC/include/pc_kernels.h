// The kernels of the CPU backend, and the loop that runs lists of them on threads.
//
// Layout. A batch is cut into tiles of `lanes` examples. A batched buffer is, tile by tile, a matrix
// [elements][lanes] with the lanes innermost; any other buffer is a plain array. Every stride below is a number of
// floats, lanes included.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// MARK: Where numbers are

/// Number e of lane l in tile i stands at `base[i * tile + e * (its stride) + l * lane]`: `tile` is 0 and `lane` 0 for
/// numbers that all examples share, `lane` is 1 for others.
typedef struct {
  float *base;
  int64_t tile;
  int64_t lane;
} pc_place;

/// One axis of an index space, with the strides of the result and of up to three operands.
typedef struct {
  int64_t count;
  int64_t result, x, y, z;
} pc_axis;

/// Tiles that calls take at once where that is better.
enum { PC_TILES_ABREAST = 2 };

/// What a kernel is told beside its parameters: which tile (and, if its call takes tiles abreast, how many from there on), how many
/// of its lanes hold examples, which part of the work out of how many, and where coefficients and scratch memory are.
typedef struct {
  int64_t tile, tiles, live;
  int64_t part, parts;
  /// Where `rows` is not 0: a part is not so many of the elements, but of the panels in which so many rows go.
  int64_t rows, panels;
  const float *coefficients;
  float *scratch;
} pc_work;

typedef void (*pc_kernel)(const void *parameters, const pc_work *work);

typedef struct {
  pc_kernel kernel;
  const void *parameters;
  /// Among calls that all threads run together: one that only the first thread may run.
  bool alone;
  /// Among calls that work on tiles: one that takes several at once.
  bool abreast;
} pc_call;

// MARK: Parameters of the kernels
//
// `alpha` and `beta` are positions in `pc_work.coefficients`: result ← alpha · value + beta · result, and the old result
// is not read where beta is 0. `sums` says that values are summed over the live lanes of the tile.

typedef enum {
  PC_ONE, PC_IDENTITY, PC_RECIPROCAL, PC_EXP, PC_LOG, PC_SQRT, PC_SIN, PC_COS, PC_TAN, PC_TANH, PC_SIGMOID,
  PC_ABSOLUTE, PC_EXP_MINUS_ONE, PC_SOFTPLUS, PC_NORMAL_CUMULATIVE, PC_RELU, PC_STEP, PC_ONE_MINUS_SQUARE, PC_ONE_PLUS_SQUARE, PC_LOGISTIC_SLOPE, PC_CLIP,
  PC_TIMES_ONE_MINUS_SQUARE, PC_TIMES_LOGISTIC_SLOPE, PC_TIMES_STEP,
  PC_ADD, PC_SUBTRACT, PC_MULTIPLY, PC_DIVIDE, PC_MAXIMUM, PC_MINIMUM, PC_GREATER, PC_SELECT,
  PC_OPERATIONS
} pc_operation;

/// The axes contain the lanes; the innermost, of any stride, is the last.
typedef struct {
  int64_t operation, arity;
  int64_t alpha, beta;
  float limit;
  pc_place result, x, y, z;
  int64_t rank;
  const pc_axis *axes;
} pc_elementwise;

/// `alpha · factor · source`, added to beta times the state. The factor is constant, and 1 where `base` is null; each of its
/// numbers serves `shared` neighbouring elements. The source is another state, as the repetition before left it or (`late`) as
/// this one does; or 1 where it is −1.
typedef struct {
  int64_t alpha, beta;
  pc_place factor;
  int64_t shared;
  int64_t source;
  bool late;
} pc_term;

enum { PC_MOST_STATES = 16, PC_MOST_TERMS = 2 };

/// Neighbouring numbers, and what each repetition adds to them, term by term.
typedef struct {
  pc_place place;
  int64_t count;
  pc_term terms[PC_MOST_TERMS];
} pc_state;

/// `count` elements (whole vectors) of up to `PC_MOST_STATES` states, each of which reads only those before it, `repeat` times.
typedef struct {
  int64_t count, repeat;
  int64_t states;
  const pc_state *state;
} pc_recurrence;

typedef enum { PC_SUM, PC_MAXIMUM_OF, PC_LOG_SUM_EXP } pc_reduction;

typedef struct {
  int64_t reduction;
  int64_t alpha, beta;
  bool sums;
  int64_t lanes;
  pc_place result, x;
  int64_t rank;
  const pc_axis *axes;
  int64_t reduced_rank;
  const pc_axis *reduced;
} pc_reduce;

/// `result[axes] = Σ_k x[axes, k] · y[axes, k]`, whichever of them is batched.
typedef struct {
  int64_t alpha, beta;
  bool sums;
  int64_t lanes;
  pc_place result, x, y;
  int64_t rank;
  const pc_axis *axes;
  int64_t depth, x_depth, y_depth;
  /// Pieces of the depth, and how far apart their results lie.
  int64_t pieces, piece_result;
} pc_products;

/// Weights in panels: the rows are cut evenly into the fewest panels of `height` rows at most; a panel of r rows is [depth][r], and
/// panels follow one another. Three nested counts, outermost first, fill the depth, or what follows `start` in a larger one; lanes are
/// the innermost count where the rows are batched.
typedef struct {
  pc_place source, target;
  int64_t rows, height, row;
  int64_t depth, start;
  int64_t count0, count1, count2;
  int64_t stride0, stride1, stride2;
} pc_pack;

/// For a matrix unit: rows of a panel, numbers of a block of the depth, and lanes that it takes at once. A panel takes up
/// `PC_THIRDS_BLOCK` floats for each block of its depth, however few its rows are.
enum { PC_THIRDS_ROWS = 32, PC_THIRDS_DEPTH = 32, PC_THIRDS_LANES = 16, PC_THIRDS_BLOCK = 1536, PC_THIRDS_SQUARES = 4 };

/// Weights in thirds, in panels of `PC_THIRDS_ROWS` rows at most. Of four nested counts, the inner two are a run of the depth, which is
/// filled with 0 up to whole blocks.
typedef struct {
  const float *source;
  float *target;
  int64_t rows, row;
  int64_t count0, count1, count2, count3;
  int64_t stride0, stride1, stride2, stride3;
} pc_pack_thirds;

/// Offsets of one group.
typedef struct {
  int64_t weights, source, result;
} pc_group;

/// `result[row, column] = Σ_k weights[row, k] · source[column, k]` for each group, with packed weights and a batched
/// source and result.
typedef struct {
  int64_t alpha, beta;
  int64_t lanes;
  int64_t groups;
  const pc_group *group;
  int64_t rows, height, columns, depth;
  const float *weights;
  pc_place source, result;
  int64_t source_column, source_depth, result_row, result_column;
  /// What is added to each row where alpha is 1 and beta 0; null where there is nothing.
  const float *bias;
} pc_matrix;

/// Elementwise functions over the result of a product with one group and one column, made as its rows are. Their outermost axis counts
/// the rows, or the elements of all of them.
typedef struct {
  int64_t count;
  const pc_call *calls;
} pc_followers;

/// A product and what follows it, some panels of rows at a time.
typedef struct {
  const pc_matrix *matrix;
  pc_followers followers;
} pc_matrix_by_rows;

/// The same for all tiles at once, with weights as they lie: threads share the rows, and each packs some at a time, in scratch memory.
/// The depth goes in so many blocks, one after the other. Or threads share pieces of the depth, each of which has a result of its own and
/// goes in so many blocks.
typedef struct {
  pc_matrix matrix;
  pc_pack pack;
  int64_t tiles, blocks;
  int64_t pieces, piece_result;
  pc_followers followers;
} pc_matrix_once_for_all;

/// Weights that are packed at a time, a panel at least: they and a tile's source share the second-level cache.
enum { PC_PACKED_AT_ONCE = 1 << 15 };

/// `result[row] = Σ_k weights[row, k] · source[k]` for one vector of lanes, or half of one, with the weights as they lie: neighbours along
/// the rows or along the depth. Where the rows are neighbours, the depth goes in pieces with a result each; of half a vector there are
/// then rows to fill one.
typedef struct {
  int64_t alpha, beta;
  int64_t lanes;
  int64_t rows, depth;
  const float *weights;
  int64_t weights_row, weights_depth;
  int64_t pieces, piece_result;
  float *result;
  const float *source;
  int64_t source_depth, result_row;
} pc_matrix_once;

/// [column][lanes] of each group and depth to blocks of `block` columns: [block][lanes][block columns], zero past the last
/// column.
typedef struct {
  int64_t lanes, block;
  int64_t groups;
  const pc_group *group;
  int64_t columns, depth;
  pc_place source, result;
  int64_t source_column, source_depth, result_depth;
} pc_transpose;

/// Up to so many examples, products are summed row by row; their panels are not wide.
enum { PC_FEW = 16 };

/// Depth of a sum over examples that is contracted before the result is visited again: what is read of it then fits the
/// second-level cache.
enum { PC_OUTER_DEPTH = 1024 };

/// `result[row, column] = Σ_{tile, k, lane} x[row, k] · y[column, k]` for each group; x as `pc_pack` leaves it, or (not `packed`) of
/// a depth of 1 as it lies, its rows `x_row` apart; y as `pc_transpose` leaves it,
/// in blocks that go with the panels' height.
typedef struct {
  int64_t alpha, beta;
  int64_t lanes, batch;
  int64_t groups;
  const pc_group *group;
  int64_t rows, height, columns, depth;
  pc_place x, y;
  bool packed;
  int64_t x_row, y_depth;
  float *result;
  int64_t result_row, result_column;
} pc_outer;

/// Products of a convolution along one direction, for one position of the result: `count` taps in arithmetic progression,
/// the first at offsets `weight` and `source`.
typedef struct {
  int64_t count, weight, source;
} pc_taps;

/// A column of the result, and how many from this one on have the same taps, their sources `source_step` apart and their results
/// `result_step`.
typedef struct {
  pc_taps taps;
  int64_t result;
  int64_t alike, source_step, result_step;
} pc_column;

/// A convolution or its input gradient: `result[g, r, y, x] = Σ weights[g, r, …] · source[g, …]` over the taps of row y,
/// the taps of column x and the channels. Steps in `weights` count floats of the filter, or places in the depth
/// where the weights are packed.
typedef struct {
  int64_t alpha, beta;
  int64_t lanes;
  int64_t groups, rows, panel_height, channels;
  int64_t height, width;
  const pc_taps *vertical;
  /// In any order.
  const pc_column *columns;
  int64_t vertical_weight, vertical_source;
  int64_t horizontal_weight, horizontal_source;
  int64_t channel_weight, channel_source;
  bool channels_innermost;
  int64_t depth;
  pc_place weights, source, result;
  int64_t weights_group, weights_row, source_group;
  int64_t result_group, result_channel, result_row;
  /// What the result is multiplied by, laid out as the result is; without a base where it is not.
  pc_place factor;
} pc_convolution;

/// A row or column of the result: its phase, which taps it meets (below 0: none), the row or column of the image that the first of these
/// meets, perhaps outside, and where it lies.
typedef struct {
  int64_t phase, first, result;
} pc_line;

/// Packed weights of a pair of phases, `group` floats for each group.
typedef struct {
  const float *base;
  int64_t group;
} pc_phase_weights;

/// Taps in a column of a filter, at most.
enum { PC_THIRDS_TAPS = 16 };

/// The same convolution in thirds, for an even number of channels. Of `vertical_taps[phase]` and `horizontal_taps[phase]` taps, the next
/// one meets the image `vertical_step` rows or `horizontal_step` columns on; for each pair of phases there are weights of their own.
typedef struct {
  int64_t alpha, beta;
  int64_t lanes;
  int64_t groups, rows, channels;
  int64_t height, width;
  /// Columns of one phase follow one another.
  const pc_line *vertical, *horizontal;
  int64_t horizontal_phases;
  const int64_t *vertical_taps, *horizontal_taps;
  int64_t vertical_step, horizontal_step;
  /// Whether a row of taps with all channels is one run of the depth, or each tap's channels are.
  bool is_row_one_run;
  int64_t image_height, image_width;
  /// Rows of the image that are kept, columns of zeros before the image, and all columns of a row.
  int64_t ring, left, padded_width;
  /// [vertical phase][horizontal phase].
  const pc_phase_weights *weights;
  pc_place source, result, factor;
  int64_t source_group, source_channel, source_row, source_column, result_group, result_channel;
} pc_convolution_thirds;

/// `result[g, o, c, i, j] = Σ message[g, o, …] · image[g, c, …]` over the positions at which tap (i, j) meets the image. Of
/// `vertical[i]` and `horizontal[j]`, `weight` is the offset of the first position in the message.
typedef struct {
  int64_t alpha, beta;
  bool sums;
  int64_t lanes;
  int64_t groups, outputs, inputs;
  int64_t height, width;
  const pc_taps *vertical, *horizontal;
  int64_t vertical_message, vertical_image, horizontal_message, horizontal_image;
  pc_place message, image, result;
  int64_t message_group, message_channel, image_group, image_channel;
  int64_t result_group, result_output, result_input, result_row, result_column;
} pc_filter_gradient;

/// Numbers of 32 lanes in thirds, as rows or as columns of a sum over the examples: [panel of `PC_THIRDS_ROWS` rows, or 16 columns]
/// [block of the depth], where tile t has blocks `t * all + before` and on, `depth` of them, out of `blocks`.
typedef struct {
  int64_t groups;
  const pc_group *group;
  int64_t rows, row;
  int64_t depth, source_depth;
  int64_t all, before, blocks;
  bool as_columns;
  pc_place source;
  float *target;
} pc_examples_thirds;

/// `result[row, column] = Σ x[row, …] · y[column, …]` for each group, over `blocks` blocks of 32 numbers.
typedef struct {
  int64_t alpha, beta;
  int64_t groups;
  const pc_group *group;
  int64_t rows, columns, blocks;
  const float *x, *y;
  float *result;
  int64_t result_row;
} pc_outer_thirds;

/// Largest element of each window, or the transpose of that at recorded winners (`image` is then the result).
typedef struct {
  int64_t alpha, beta;
  int64_t lanes;
  int64_t channels;
  int64_t rows, columns;
  int64_t image_rows, image_columns;
  int64_t window_rows, window_columns;
  int64_t stride_rows, stride_columns;
  int64_t padding_rows, padding_columns;
  pc_place values, winners, image;
  int64_t values_channel, values_row, values_column;
  int64_t winners_channel, winners_row, winners_column;
  int64_t image_channel, image_row, image_column;
} pc_pooling;

typedef struct {
  int64_t alpha, beta;
  int64_t lanes;
  int64_t classes, class_stride;
  pc_place result, x;
  int64_t rank;
  const pc_axis *axes;
} pc_one_hot;

/// `values[axes, column] = table[index[axes], column]`, or its transpose in the table, which sums over the tiles where the
/// table has no examples. `result` of an axis is that of the values, `x` that of the indices.
typedef struct {
  int64_t alpha, beta;
  int64_t lanes;
  bool sums;
  int64_t tiles, batch;
  int64_t rows, width;
  pc_place indices, table, values;
  int64_t table_row, table_column, value_column;
  int64_t rank;
  const pc_axis *axes;
} pc_gather;

/// `result[axes] = Σ_tile x[tile, axes]`, first tile first.
typedef struct {
  int64_t alpha, beta;
  int64_t tiles;
  pc_place result, x;
  int64_t rank;
  const pc_axis *axes;
} pc_combine;

/// Rounds beside one another: of `lanes` lanes, the first `examples` hold round 0, the next round 1 and so on; a buffer of one
/// round has `own_lanes`, of which the first hold examples. `live` of the work says how many lanes hold rounds that are
/// wanted.
typedef struct {
  int64_t lanes, examples, own_lanes;
  int64_t count;
  /// Numbers of one round, and those of all rounds: what is spread to them, or the last of them.
  float *own, *rounds;
} pc_rounds;

/// The course of a state `m ← β m + u`: from `rounds.own`, which moves on, and u to `rounds.rounds`, the values before each
/// round or after it.
typedef struct {
  int64_t beta;
  pc_rounds rounds;
  const float *update;
  bool after;
} pc_course;

/// A call out of C: the function gets the context, the tile, its live lanes, alpha and beta.
typedef struct {
  int64_t alpha, beta;
  void (*function)(void *context, int64_t tile, int64_t live, float alpha, float beta);
  void *context;
} pc_foreign;

// MARK: Instruction sets

typedef enum {
  PC_KERNEL_ELEMENTWISE, PC_KERNEL_RECURRENCE, PC_KERNEL_REDUCE, PC_KERNEL_PRODUCTS, PC_KERNEL_PACK, PC_KERNEL_MATRIX,
  PC_KERNEL_MATRIX_BY_ROWS, PC_KERNEL_MATRIX_ONCE_FOR_ALL, PC_KERNEL_MATRIX_ONCE,
  PC_KERNEL_PACK_THIRDS, PC_KERNEL_MATRIX_THIRDS, PC_KERNEL_MATRIX_THIRDS_BY_ROWS,
  PC_KERNEL_EXAMPLES_THIRDS, PC_KERNEL_OUTER_THIRDS,
    PC_KERNEL_CONVOLUTION_THIRDS, PC_KERNEL_TRANSPOSE,
  PC_KERNEL_OUTER, PC_KERNEL_CONVOLUTION, PC_KERNEL_CONVOLUTION_ANY, PC_KERNEL_FILTER_GRADIENT,
  PC_KERNEL_FILTER_GRADIENT_ANY, PC_KERNEL_MAX_POOL, PC_KERNEL_MAX_POOL_GRADIENT, PC_KERNEL_ONE_HOT,
  PC_KERNEL_GATHER, PC_KERNEL_GATHER_GRADIENT,
  PC_KERNEL_COMBINE, PC_KERNEL_SPREAD, PC_KERNEL_COURSE, PC_KERNEL_LAST_ROUND, PC_KERNEL_FOREIGN,
  PC_KERNELS
} pc_kernel_name;

/// The kernels compiled for one instruction set, and the widths that memory has to be laid out for.
typedef struct {
  pc_kernel kernels[PC_KERNELS];
  /// Floats in a vector.
  int64_t width;
  /// Rows of a panel of packed weights, at most; and of a wide one (0: there is none), for multiples of `wide_block` numbers beside one
  /// another.
  int64_t rows, wide_rows;
  /// Columns in a block of `pc_transpose`, and in one for wide panels.
  int64_t block, wide_block;
  /// Whether the set has the kernels that work on thirds of floats; the others have null for them.
  bool has_matrix_unit;
  /// Floats of scratch memory that a filter gradient takes for each tap.
  int64_t scratch_per_tap;
  /// Runs fused multiply-adds on registers, `rounds` rounds from `value` on, and returns how many floating-point operations that
  /// was.
  double (*exercise)(int64_t rounds, float *value);
} pc_set;

typedef enum { PC_AMX, PC_AVX512, PC_AVX2, PC_PORTABLE } pc_set_name;

/// The set, or null where this machine can't run it.
const pc_set *pc_find_set(pc_set_name name);

pc_kernel pc_kernel_of(const pc_set *set, pc_kernel_name name);

/// `PC_KERNEL_FOREIGN` of every set.
void pc_call_foreign(const void *parameters, const pc_work *work);

// MARK: Running

/// Calls `first ..< first + count`, the whole of them `repeat` times. With `parts` > 1 they are elementwise functions over
/// the same elements, and all repetitions of one part of the elements are done, in the cache, before the next part's. `abreast`
/// says that each call is made for all tiles of a group before the next call, otherwise the whole for each tile.
typedef struct {
  int64_t first, count, repeat, parts;
  bool abreast;
} pc_span;

/// A phase has fewer than 2 to the power of this of tiles, and of pieces of all threads and spans.
enum { PC_UNIT_BITS = 28 };

/// Either every group of up to `abreast` tiles runs all spans before the next (threads share the tiles out), or all threads run
/// the calls together, each its part: one, or `pieces`, of which others may take some. After a phase all threads meet. `live`, where it
/// is not 0, replaces the number of lanes in use.
typedef struct {
  bool together;
  int64_t abreast, pieces;
  int64_t live;
  int64_t first, count;
} pc_phase;

/// Phases `first ..< first + count`, `repeat` times.
typedef struct {
  int64_t first, count, repeat;
} pc_block;

/// When call `call` of a script ran, on which tile (of a call that is shared out: -1), in seconds of `pc_seconds`.
typedef struct {
  int64_t call, tile;
  double start, end;
} pc_note;

typedef struct {
  /// One thread does it all: there is too little between two meetings to share.
  bool alone;
  const pc_call *calls;
  const pc_span *spans;
  const pc_phase *phases;
  const pc_block *blocks;
  int64_t block_count;
  int64_t tiles, lanes, batch;
  const float *coefficients;
  /// Each thread has `scratch_stride` floats.
  float *scratch;
  int64_t scratch_stride;
  /// Where a profiled run keeps notes: thread t those from `t * note_capacity` on. It counts all of them in `note_counts[t]`,
  /// and leaves out those that find no room. Null where nobody asks.
  pc_note *notes;
  int64_t note_capacity;
  int64_t *note_counts;
} pc_script;

typedef struct pc_pool pc_pool;

/// Threads that wait for scripts, the caller's own counted in; null where the system refuses.
pc_pool *pc_pool_create(int64_t threads);
void pc_pool_destroy(pc_pool *pool);
/// Holds off every run of the pool.
void pc_pool_lock(pc_pool *pool);
void pc_pool_unlock(pc_pool *pool);
void pc_pool_run(pc_pool *pool, const pc_script *script);

/// Denormal numbers are 0 on every thread of the pool, and on the caller's during a run.
bool pc_denormals_are_zero(void);

// MARK: Moving numbers in and out
//
// `values` is [batch][count], example by example; `tiles` is [tile][count][lanes].

void pc_scatter_float(const float *values, float *tiles, int64_t batch, int64_t count, int64_t lanes);
void pc_scatter_double(const double *values, float *tiles, int64_t batch, int64_t count, int64_t lanes);
void pc_scatter_int32(const int32_t *values, float *tiles, int64_t batch, int64_t count, int64_t lanes);
void pc_gather_double(const float *tiles, double *values, int64_t batch, int64_t count, int64_t lanes);

// MARK: Memory and measurements

/// Zeroed floats at a multiple of 64 bytes; null where there is no memory.
float *pc_allocate(int64_t count);
void pc_free(float *memory);

/// Seconds of a clock that only goes forward.
double pc_seconds(void);

/// Adds up `count` floats: what the memory bandwidth is measured with.
float pc_read_through(const float *memory, int64_t count);
