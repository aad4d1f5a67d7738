// Transposition of 4 × 4 floats in registers: the building block of layout changes on every instruction set.
#pragma once
#include <stdint.h>

typedef float Quad __attribute__((vector_size(16), aligned(4), may_alias));

static inline __attribute__((always_inline)) void transpose_quads(
    const float *from, int64_t from_row, float *to, int64_t to_row) {
  Quad a = *(const Quad *)from, b = *(const Quad *)(from + from_row);
  Quad c = *(const Quad *)(from + 2 * from_row), d = *(const Quad *)(from + 3 * from_row);
  Quad ab = __builtin_shufflevector(a, b, 0, 4, 1, 5), cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
  Quad AB = __builtin_shufflevector(a, b, 2, 6, 3, 7), CD = __builtin_shufflevector(c, d, 2, 6, 3, 7);
  *(Quad *)to = __builtin_shufflevector(ab, cd, 0, 1, 4, 5);
  *(Quad *)(to + to_row) = __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
  *(Quad *)(to + 2 * to_row) = __builtin_shufflevector(AB, CD, 0, 1, 4, 5);
  *(Quad *)(to + 3 * to_row) = __builtin_shufflevector(AB, CD, 2, 3, 6, 7);
}

/// Four steps of three rows: `to` gets the three numbers of a step, then those of the next.
static inline __attribute__((always_inline)) void transpose_triples(const float *from, int64_t from_row, float *to) {
  Quad a = *(const Quad *)from, b = *(const Quad *)(from + from_row), c = *(const Quad *)(from + 2 * from_row);
  Quad ab = __builtin_shufflevector(a, b, 0, 4, 1, 5), bc = __builtin_shufflevector(b, c, 1, 5, 2, 6);
  Quad AB = __builtin_shufflevector(a, b, 3, 7, 3, 7);
  *(Quad *)to = __builtin_shufflevector(ab, c, 0, 1, 4, 2);
  *(Quad *)(to + 4) = __builtin_shufflevector(bc, a, 0, 1, 6, 2);
  *(Quad *)(to + 8) = __builtin_shufflevector(AB, c, 6, 0, 1, 7);
}
