// Examples to tiles and back: a transposition of [batch][count] to [tile][count][lanes].
//
// Blocks of 16 numbers are a cache line of each example, read whole once: examples are often a power of two apart, and
// their lines would push one another out of the cache.
#include "include/pc_kernels.h"
#include "transpose.h"

enum { line = 16 };

#define SCATTER(name, type)                                                                                  \
  void pc_scatter_##name(const type *values, float *tiles, int64_t batch, int64_t count, int64_t lanes) {    \
    for (int64_t first = 0; first < batch; first += lanes) {                                                 \
      int64_t live = batch - first < lanes ? batch - first : lanes;                                          \
      for (int64_t e = 0; e < count; e += line) {                                                            \
        int64_t length = count - e < line ? count - e : line;                                                \
        for (int64_t l = 0; l < live; l++) {                                                                 \
          const type *from = values + (first + l) * count + e;                                               \
          float *to = tiles + e * lanes + l;                                                                 \
          for (int64_t i = 0; i < length; i++) to[i * lanes] = (float)from[i];                               \
        }                                                                                                    \
      }                                                                                                      \
      tiles += count * lanes;                                                                                \
    }                                                                                                        \
  }

SCATTER(double, double)
SCATTER(int32, int32_t)
static SCATTER(any_float, float)

void pc_scatter_float(const float *values, float *tiles, int64_t batch, int64_t count, int64_t lanes) {
  const int64_t whole = lanes % 4 == 0 && count % line == 0 ? batch / lanes * lanes : 0;
  for (int64_t first = 0; first < whole; first += lanes, tiles += count * lanes)
    for (int64_t e = 0; e < count; e += line)
      for (int64_t l = 0; l < lanes; l += 4)
        for (int64_t i = 0; i < line; i += 4)
          transpose_quads(values + (first + l) * count + e + i, count, tiles + (e + i) * lanes + l, lanes);
  pc_scatter_any_float(values + whole * count, tiles, batch - whole, count, lanes);
}

void pc_gather_double(const float *tiles, double *values, int64_t batch, int64_t count, int64_t lanes) {
  for (int64_t first = 0; first < batch; first += lanes) {
    int64_t live = batch - first < lanes ? batch - first : lanes;
    for (int64_t e = 0; e < count; e += line) {
      int64_t length = count - e < line ? count - e : line;
      for (int64_t l = 0; l < live; l++) {
        double *to = values + (first + l) * count + e;
        const float *from = tiles + e * lanes + l;
        for (int64_t i = 0; i < length; i++) to[i] = from[i * lanes];
      }
    }
    tiles += count * lanes;
  }
}

float pc_read_through(const float *memory, int64_t count) {
  float sums[64] = {0};
  for (int64_t i = 0; i + 64 <= count; i += 64)
    for (int64_t k = 0; k < 64; k++) sums[k] += memory[i + k];
  float total = 0;
  for (int64_t k = 0; k < 64; k++) total += sums[k];
  return total;
}
