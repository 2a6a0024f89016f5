// A sketch of the ids that matter most: buckets of cells. No TensorFlow.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "lookup.h"

namespace memcom {

constexpr int kCells = 4;

// ((multiplier * id + increment) mod prime) mod buckets, with all factors below 2^31.
struct UniversalHash {
  int64_t multiplier, increment, prime, buckets;
  bool is_valid() const {
    constexpr int64_t kLimit = int64_t{1} << 31;
    return prime > 0 && prime < kLimit && multiplier >= 0 && multiplier < prime && increment >= 0 &&
           increment < prime && buckets > 0;
  }
  int64_t operator()(int64_t id) const { return ((multiplier * id + increment) % prime) % buckets; }
};

// Cells of all buckets: the id of each + 1, its row + 1, 0 for none, its score, and its error.
struct Sketch {
  int32_t* ids;
  const int32_t* rows;
  float* scores;
  float* errors;
};

// The row of its own of an id + 1, 0 for none: the largest, should a cell be there twice.
inline int32_t row_of(const int32_t* ids, const int32_t* rows, const UniversalHash& hash,
                      int64_t id) {
  const int64_t first = kCells * hash(id);
  int32_t row = 0;
  for (int64_t cell = first; cell < first + kCells; cell++)
    row = ids[cell] == (int32_t)id + 1 ? std::max(row, rows[cell]) : row;
  return row;
}

// The values of each id of a batch summed, ids in the order in which they first come.
class SummedIds {
 public:
  // `values` are as many as ids, or one for all. Ids must be in [0, 2^31 - 1).
  void sum(const Ids& ids, const float* values, bool one_for_all) {
    int bits = 4;
    while ((int64_t{1} << bits) < 2 * ids.count) bits++;
    places_.assign(int64_t{1} << bits, -1);
    this->ids.clear(), sums.clear();
    const int64_t mask = (int64_t{1} << bits) - 1;
    for (int64_t i = 0; i < ids.count; i++) {
      const int64_t id = ids.at(i);
      const double value = values[one_for_all ? 0 : i];
      int64_t slot = ((uint64_t)id * 0x9E3779B97F4A7C15u) >> (64 - bits);
      while (places_[slot] >= 0 && this->ids[places_[slot]] != id) slot = (slot + 1) & mask;
      if (places_[slot] < 0) {
        places_[slot] = (int64_t)this->ids.size();
        this->ids.push_back(id), sums.push_back(value);
      } else {
        sums[places_[slot]] += value;
      }
    }
  }

  std::vector<int64_t> ids;
  std::vector<double> sums;

 private:
  std::vector<int64_t> places_;
};

// The cell of an id in its bucket, whose cells begin at `first`; -1 where all have rows.
inline int64_t cell_of(const Sketch& sketch, int64_t first, int32_t id) {
  int64_t empty = -1, open = -1, smallest = -1;
  float least = std::numeric_limits<float>::infinity();
  for (int64_t cell = first; cell < first + kCells; cell++) {
    if (sketch.ids[cell] == id) return cell;
    if (sketch.rows[cell] != 0) continue;
    if (open < 0) open = cell;
    if (empty < 0 && sketch.ids[cell] == 0) empty = cell;
    if (sketch.scores[cell] < least) least = sketch.scores[cell], smallest = cell;  // not of NaN
  }
  return empty >= 0 ? empty : smallest >= 0 ? smallest : open;
}

// Inserts a batch: what `memcom_tf.ops.sketch.Sketch` says.
inline void insert(const Sketch& sketch, const UniversalHash& hash, const SummedIds& batch) {
  for (size_t i = 0; i < batch.ids.size(); i++) {
    const float value = (float)batch.sums[i];
    if (!(value > 0) || std::isinf(value)) continue;
    const int32_t id = (int32_t)batch.ids[i] + 1;
    const int64_t cell = cell_of(sketch, kCells * hash(batch.ids[i]), id);
    if (cell < 0) continue;
    if (sketch.ids[cell] != id) sketch.errors[cell] = sketch.scores[cell];
    sketch.ids[cell] = id;
    sketch.scores[cell] += value;
  }
}

}  // namespace memcom
