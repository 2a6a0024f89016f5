// The inner loops, compiled for each level of the instruction set. No TensorFlow.
#pragma once

#include <cstdint>

#include "program.h"
#include "updates.h"
#include "vectors.h"

namespace memcom {

MEMCOM_KERNEL static bool compute_indices(const Program& program, Slots* slots, int64_t n) {
  return lanes::compute_indices(program, slots, n);
}

// Of ids, to the keys in which ids of equal remainder follow each other.
MEMCOM_KERNEL static void exchange_digits(const int64_t* ids, int64_t n, int64_t base,
                                          double by_base, int64_t quotients, int64_t* keys,
                                          int64_t* remainders) {
  for (int64_t i = 0; i < n; i++) {
    const int64_t quotient = floor_divide(ids[i], base, by_base);
    remainders[i] = ids[i] - quotient * base;
    keys[i] = remainders[i] * quotients + quotient;
  }
}

// And back.
MEMCOM_KERNEL static void restore_digits(int64_t* keys, int64_t n, int64_t base,
                                         double by_quotients, int64_t quotients) {
  for (int64_t i = 0; i < n; i++) {
    const int64_t remainder = floor_divide(keys[i], quotients, by_quotients);
    keys[i] = (keys[i] - remainder * quotients) * base + remainder;
  }
}

MEMCOM_KERNEL static float sum_of(const float* x, int64_t n) { return lanes::sum_of(x, n); }

#define MEMCOM_KERNELS_FOR(T)                                                               \
  /* out (+)= sum_i coefficient[i] * table[row[i]] */                                       \
  MEMCOM_KERNEL static void sum_rows(const T* table, int64_t width, const int64_t* rows,    \
                                     const float* coefficients, int64_t n, bool accumulate, \
                                     float* out) {                                          \
    lanes::sum_rows(table, width, rows, coefficients, n, accumulate, out);                  \
  }                                                                                         \
  /* out (+)= sum_i coefficient[i] * a[a_row[i]] * b[b_row[i]] */                           \
  MEMCOM_KERNEL static void sum_products(                                                   \
      const T* a, const T* b, int64_t width, const int64_t* a_rows, const int64_t* b_rows,  \
      const float* coefficients, int64_t n, bool accumulate, float* out) {                  \
    lanes::sum_products(a, b, width, a_rows, b_rows, coefficients, n, accumulate, out);     \
  }                                                                                         \
  MEMCOM_KERNEL static void multiply_by(float* x, const T* y, int64_t n) {                  \
    lanes::multiply_by(x, y, n);                                                            \
  }                                                                                         \
  MEMCOM_KERNEL static float dot(const float* x, const T* y, int64_t n) {                   \
    return lanes::dot(x, y, n);                                                             \
  }                                                                                         \
  MEMCOM_KERNEL static void copy_to(T* to, const float* from, int64_t n) {                  \
    lanes::copy_to(to, from, n);                                                            \
  }                                                                                         \
  MEMCOM_KERNEL static void update_row(Rule rule, const Updated<T>& table, int64_t row,     \
                                       int64_t width, const float* gradient) {              \
    lanes::update_row(rule, table, row, width, gradient);                                   \
  }

MEMCOM_KERNELS_FOR(float)
MEMCOM_KERNELS_FOR(BFloat16)
MEMCOM_KERNELS_FOR(Float16)
#undef MEMCOM_KERNELS_FOR

// x *= c
MEMCOM_KERNEL static void scale(float* x, float c, int64_t n) { lanes::scale(x, c, n); }

// x (+)= c * y
MEMCOM_KERNEL static void add_scaled(float* x, const float* y, float c, int64_t n,
                                     bool accumulate) {
  lanes::add_scaled(x, y, c, n, accumulate);
}

}  // namespace memcom
