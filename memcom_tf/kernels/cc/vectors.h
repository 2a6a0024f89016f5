// Rows of numbers, eight at a time, and the numbers' types. No TensorFlow.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__GNUC__)
// The vector types below never cross a function that is not inlined.
#pragma GCC diagnostic ignored "-Wpsabi"
#endif

// A kernel is compiled once for each level of the instruction set, with all that it calls, and
// the loader picks the best that the machine has: a cached library stays valid on an older one.
// Sanitizers are not initialized yet when that choice runs.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MEMCOM_INLINE inline
#define MEMCOM_KERNEL [[maybe_unused]]
#else
#define MEMCOM_INLINE inline __attribute__((always_inline))
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__) && \
    __GNUC__ >= 12
#define MEMCOM_KERNEL \
  [[maybe_unused]]    \
  __attribute__((noinline, target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define MEMCOM_KERNEL [[maybe_unused]] __attribute__((noinline))
#endif
#endif

namespace memcom {

// 16 lanes make GCC spill on AVX2; it lowers 8 to what the enclosing kernel's level has.
constexpr int kLanes = 8;
typedef float Floats __attribute__((vector_size(32), aligned(4), may_alias));
typedef uint32_t Words __attribute__((vector_size(32), aligned(4), may_alias));
typedef int32_t Integers __attribute__((vector_size(32), aligned(4), may_alias));
typedef uint16_t Halves __attribute__((vector_size(16), aligned(2), may_alias));

struct BFloat16 {
  uint16_t bits;
};
struct Float16 {
  uint16_t bits;
};

template <class To, class From>
MEMCOM_INLINE To bit_cast(const From& from) {
  static_assert(sizeof(To) == sizeof(From), "sizes differ");
  To to;
  std::memcpy(&to, &from, sizeof(to));
  return to;
}

// Loads and stores go through a pointer to the unaligned type: GCC splits a memcpy of 32 bytes
// into 16-byte moves through the stack.
MEMCOM_INLINE Floats load(const float* p) { return *reinterpret_cast<const Floats*>(p); }
MEMCOM_INLINE void store(float* p, const Floats& x) { *reinterpret_cast<Floats*>(p) = x; }

MEMCOM_INLINE Floats load(const BFloat16* p) {
  const Halves half = *reinterpret_cast<const Halves*>(p);
  return (Floats)(__builtin_convertvector(half, Words) << 16);
}

MEMCOM_INLINE Floats load(const Float16* p) {
  const Words h = __builtin_convertvector(*reinterpret_cast<const Halves*>(p), Words);
  const Words sign = (h & 0x8000u) << 16;
  const Words exponent = h & 0x7c00u;
  const Words shifted = (h & 0x7fffu) << 13;
  // Denormals by integer arithmetic: TensorFlow's threads flush denormal floats to zero.
  const Floats small = __builtin_convertvector((Integers)(h & 0x3ffu), Floats) * 0x1p-24f;
  const Words normal = shifted + (112u << 23);
  const Words infinite = shifted | 0x7f800000u;
  const Words is_small = (Words)(exponent == 0);
  const Words is_infinite = (Words)(exponent == 0x7c00u);
  return (Floats)(sign | (is_small & (Words)small) | (is_infinite & infinite) |
                  (~is_small & ~is_infinite & normal));
}

MEMCOM_INLINE float to_float(float x) { return x; }
MEMCOM_INLINE float to_float(BFloat16 x) { return bit_cast<float>((uint32_t)x.bits << 16); }
MEMCOM_INLINE float to_float(Float16 x) {
  const uint32_t sign = (uint32_t)(x.bits & 0x8000) << 16;
  const uint32_t exponent = x.bits & 0x7c00;
  const uint32_t shifted = (uint32_t)(x.bits & 0x7fff) << 13;
  if (exponent == 0)
    return bit_cast<float>(sign | bit_cast<uint32_t>((float)(x.bits & 0x3ff) * 0x1p-24f));
  return bit_cast<float>(sign |
                         (exponent == 0x7c00 ? shifted | 0x7f800000u : shifted + (112u << 23)));
}

// Rounding to the nearest, ties to even.
template <class T>
T from_float(float x);
template <>
MEMCOM_INLINE float from_float<float>(float x) {
  return x;
}
template <>
MEMCOM_INLINE BFloat16 from_float<BFloat16>(float x) {
  const uint32_t u = bit_cast<uint32_t>(x);
  if ((u & 0x7fffffffu) > 0x7f800000u) return {(uint16_t)((u >> 16) | 0x40)};
  return {(uint16_t)((u + 0x7fffu + ((u >> 16) & 1)) >> 16)};
}
template <>
MEMCOM_INLINE Float16 from_float<Float16>(float x) {
  uint32_t u = bit_cast<uint32_t>(x);
  const uint16_t sign = (uint16_t)((u >> 16) & 0x8000);
  u &= 0x7fffffffu;
  if (u > 0x7f800000u) return {(uint16_t)(sign | 0x7e00)};
  if (u >= 0x47800000u) return {(uint16_t)(sign | 0x7c00)};
  if (u < 0x38800000u) {  // a denormal: the sum rounds to an integer multiple of 2^-24
    const float scaled = bit_cast<float>(u) * 0x1p24f;
    return {(uint16_t)(sign | (bit_cast<uint32_t>(scaled + 0x1p23f) & 0x7ffu))};
  }
  u += 0xfffu + ((u >> 13) & 1) - (112u << 23);
  return {(uint16_t)(sign | (u >> 13))};
}

MEMCOM_INLINE void store(BFloat16* p, const Floats& x) {
  for (int i = 0; i < kLanes; i++) p[i] = from_float<BFloat16>(x[i]);
}
MEMCOM_INLINE void store(Float16* p, const Floats& x) {
  for (int i = 0; i < kLanes; i++) p[i] = from_float<Float16>(x[i]);
}

MEMCOM_INLINE float add_lanes(const Floats& x) {
  return ((x[0] + x[4]) + (x[2] + x[6])) + ((x[1] + x[5]) + (x[3] + x[7]));
}

template <class T>
MEMCOM_INLINE void prefetch_row(const T* row, int64_t width, bool for_writing) {
  const char* p = reinterpret_cast<const char*>(row);
  const char* end = reinterpret_cast<const char*>(row + width);
  // GCC takes a function that only prefetches for one without effects, and drops its calls.
  __asm__ volatile("");
  // The locality must be a constant, and writing is asked for by another instruction.
  for (; p < end; p += 64) {
    if (for_writing)
      __builtin_prefetch(p, 1);
    else
      __builtin_prefetch(p, 0);
  }
}

namespace lanes {

// sum_i coefficient[i] * table[row[i]] over n rows, for kVectors * 8 columns, held in registers.
template <int kVectors, class T>
MEMCOM_INLINE void sum_rows_block(const T* table, int64_t stride, const int64_t* rows,
                                  const float* coefficients, int64_t n, bool accumulate,
                                  float* out) {
  Floats sum[kVectors];
  for (int k = 0; k < kVectors; k++) sum[k] = accumulate ? load(out + kLanes * k) : Floats{};
  for (int64_t i = 0; i < n; i++) {
    const T* row = table + rows[i] * stride;
    for (int k = 0; k < kVectors; k++) sum[k] += load(row + kLanes * k) * coefficients[i];
  }
  for (int k = 0; k < kVectors; k++) store(out + kLanes * k, sum[k]);
}

// The same over products of rows of two tables.
template <int kVectors, class T>
MEMCOM_INLINE void sum_products_block(const T* a, const T* b, int64_t stride, const int64_t* a_rows,
                                      const int64_t* b_rows, const float* coefficients, int64_t n,
                                      bool accumulate, float* out) {
  Floats sum[kVectors];
  for (int k = 0; k < kVectors; k++) sum[k] = accumulate ? load(out + kLanes * k) : Floats{};
  for (int64_t i = 0; i < n; i++) {
    const T* a_row = a + a_rows[i] * stride;
    const T* b_row = b + b_rows[i] * stride;
    for (int k = 0; k < kVectors; k++)
      sum[k] += load(a_row + kLanes * k) * load(b_row + kLanes * k) * coefficients[i];
  }
  for (int k = 0; k < kVectors; k++) store(out + kLanes * k, sum[k]);
}

// And for a few columns, of which no sum waits for another.
template <int kColumns, class T>
MEMCOM_INLINE void sum_rows_few(const T* table, int64_t stride, const int64_t* rows,
                                const float* coefficients, int64_t n, bool accumulate, float* out) {
  float sum[kColumns];
  for (int k = 0; k < kColumns; k++) sum[k] = accumulate ? out[k] : 0.0f;
  for (int64_t i = 0; i < n; i++)
    for (int k = 0; k < kColumns; k++)
      sum[k] += to_float(table[rows[i] * stride + k]) * coefficients[i];
  for (int k = 0; k < kColumns; k++) out[k] = sum[k];
}

// out (+)= sum_i coefficient[i] * table[row[i]], for any width.
template <class T>
MEMCOM_INLINE void sum_rows(const T* table, int64_t width, const int64_t* rows,
                            const float* coefficients, int64_t n, bool accumulate, float* out) {
  int64_t c = 0;
  for (; width - c >= 64; c += 64)
    sum_rows_block<8>(table + c, width, rows, coefficients, n, accumulate, out + c);
  if (width - c >= 32) {
    sum_rows_block<4>(table + c, width, rows, coefficients, n, accumulate, out + c);
    c += 32;
  }
  if (width - c >= 16) {
    sum_rows_block<2>(table + c, width, rows, coefficients, n, accumulate, out + c);
    c += 16;
  }
  if (width - c >= 8) {
    sum_rows_block<1>(table + c, width, rows, coefficients, n, accumulate, out + c);
    c += 8;
  }
  if (width - c >= 4) {
    sum_rows_few<4>(table + c, width, rows, coefficients, n, accumulate, out + c);
    c += 4;
  }
  if (width - c >= 2) {
    sum_rows_few<2>(table + c, width, rows, coefficients, n, accumulate, out + c);
    c += 2;
  }
  if (c < width) sum_rows_few<1>(table + c, width, rows, coefficients, n, accumulate, out + c);
}

template <class T>
MEMCOM_INLINE void sum_products(const T* a, const T* b, int64_t width, const int64_t* a_rows,
                                const int64_t* b_rows, const float* coefficients, int64_t n,
                                bool accumulate, float* out) {
  int64_t c = 0;
  for (; width - c >= 32; c += 32)
    sum_products_block<4>(a + c, b + c, width, a_rows, b_rows, coefficients, n, accumulate,
                          out + c);
  for (; width - c >= 8; c += 8)
    sum_products_block<1>(a + c, b + c, width, a_rows, b_rows, coefficients, n, accumulate,
                          out + c);
  for (; c < width; c++) {
    float sum = accumulate ? out[c] : 0.0f;
    for (int64_t i = 0; i < n; i++)
      sum +=
          to_float(a[a_rows[i] * width + c]) * to_float(b[b_rows[i] * width + c]) * coefficients[i];
    out[c] = sum;
  }
}

// x (+)= c * y
MEMCOM_INLINE void add_scaled(float* x, const float* y, float c, int64_t n, bool accumulate) {
  int64_t i = 0;
  for (; n - i >= kLanes; i += kLanes)
    store(x + i, accumulate ? load(x + i) + load(y + i) * c : load(y + i) * c);
  for (; i < n; i++) x[i] = (accumulate ? x[i] : 0.0f) + y[i] * c;
}

// x *= y
template <class T>
MEMCOM_INLINE void multiply_by(float* x, const T* y, int64_t n) {
  int64_t i = 0;
  for (; n - i >= kLanes; i += kLanes) store(x + i, load(x + i) * load(y + i));
  for (; i < n; i++) x[i] *= to_float(y[i]);
}

// x *= c
MEMCOM_INLINE void scale(float* x, float c, int64_t n) {
  int64_t i = 0;
  for (; n - i >= kLanes; i += kLanes) store(x + i, load(x + i) * c);
  for (; i < n; i++) x[i] *= c;
}

template <class T>
MEMCOM_INLINE float dot(const float* x, const T* y, int64_t n) {
  Floats sums = {};
  int64_t i = 0;
  for (; n - i >= kLanes; i += kLanes) sums += load(x + i) * load(y + i);
  float sum = add_lanes(sums);
  for (; i < n; i++) sum += x[i] * to_float(y[i]);
  return sum;
}

MEMCOM_INLINE float sum_of(const float* x, int64_t n) {
  Floats sums = {};
  int64_t i = 0;
  for (; n - i >= kLanes; i += kLanes) sums += load(x + i);
  float sum = add_lanes(sums);
  for (; i < n; i++) sum += x[i];
  return sum;
}

template <class T>
MEMCOM_INLINE void copy_to(T* to, const float* from, int64_t n) {
  int64_t i = 0;
  for (; n - i >= kLanes; i += kLanes) store(to + i, load(from + i));
  for (; i < n; i++) to[i] = from_float<T>(from[i]);
}

}  // namespace lanes
}  // namespace memcom
