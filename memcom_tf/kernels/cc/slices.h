// A gradient as slices: rows by their numbers. No TensorFlow.
#pragma once

#include <algorithm>
#include <cstdint>

namespace memcom {

template <class T>
struct Slices {
  int64_t* indices;  // [rows]
  T* values;         // [rows, width]
};

// Rows of a width that hold single values, whose numbers rise.
inline int64_t count_rows(const int64_t* numbers, int64_t count, int64_t width) {
  int64_t rows = 0;
  for (int64_t i = 0; i < count; i++)
    rows += i == 0 || numbers[i] / width != numbers[i - 1] / width;
  return rows;
}

// Those rows, with 0 where there is no value.
template <class T>
void join_values(const Slices<T>& single, int64_t count, int64_t width, const Slices<T>& rows) {
  for (int64_t i = 0, row = -1; i < count; i++) {
    const int64_t number = single.indices[i] / width;
    if (i == 0 || number != rows.indices[row]) {
      rows.indices[++row] = number;
      std::fill_n(rows.values + row * width, width, T{});
    }
    rows.values[row * width + single.indices[i] % width] = single.values[i];
  }
}

}  // namespace memcom
