// Looking up and pooling in one pass. No TensorFlow.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels.h"
#include "program.h"
#include "vectors.h"

namespace memcom {

enum class Combiner { kNone, kSum, kMean, kSqrtn };

// Ids of either width, in the order of their bags.
struct Ids {
  const void* data = nullptr;
  bool is_int64 = false;
  int64_t count = 0;
  MEMCOM_INLINE int64_t at(int64_t i) const {
    return is_int64 ? static_cast<const int64_t*>(data)[i] : static_cast<const int32_t*>(data)[i];
  }
  void read(int64_t first, int64_t n, int64_t* to) const {
    if (is_int64)
      std::copy_n(static_cast<const int64_t*>(data) + first, n, to);
    else
      std::copy_n(static_cast<const int32_t*>(data) + first, n, to);
  }
};

// Which positions make up a bag: `size` each, or what the splits say.
struct Bags {
  int64_t count = 0, size = 1;
  const int64_t* splits = nullptr;  // [count + 1]
  MEMCOM_INLINE int64_t begin(int64_t bag) const { return splits ? splits[bag] : bag * size; }
};

// Position of the first id outside the vocabulary, or -1.
inline int64_t find_outside(const Ids& ids, int64_t input_dim) {
  bool outside = false;
  if (ids.is_int64) {
    const int64_t* p = static_cast<const int64_t*>(ids.data);
    for (int64_t i = 0; i < ids.count; i++) outside |= (uint64_t)p[i] >= (uint64_t)input_dim;
  } else {
    const int32_t* p = static_cast<const int32_t*>(ids.data);
    const uint32_t limit = (uint32_t)std::min<int64_t>(input_dim, int64_t{1} << 31);
    for (int64_t i = 0; i < ids.count; i++) outside |= (uint32_t)p[i] >= limit;
  }
  if (!outside) return -1;
  for (int64_t i = 0; i < ids.count; i++)
    if ((uint64_t)ids.at(i) >= (uint64_t)input_dim) return i;
  return -1;
}

// A code that reaches its limit; position -1 where none does.
struct BadCode {
  int64_t position = -1;  // of the id whose code it is
  int64_t table, column, code, limit;
};

// The first bad code of an id in slot 0.
inline BadCode bad_code_of(const Program& program, Slots* slots) {
  Program one = program;
  for (const Instruction& line : program.instructions) {
    one.instructions = {line};
    const int64_t row = slots->value[line.operand][0];
    if (compute_indices(one, slots, 1)) continue;
    const int64_t at = row * line.codes.width + line.column;
    const int64_t code = line.codes.is_int32 ? static_cast<const int32_t*>(line.codes.data)[at]
                                             : static_cast<const uint8_t*>(line.codes.data)[at];
    return {0, line.constant, line.column, code, line.limit};
  }
  return {};
}

// The first bad code of a batch of ids in the vocabulary.
inline BadCode find_bad_code(const Program& program, const Ids& ids) {
  if (!program.needs_check()) return {};
  Slots slots;
  for (int64_t chunk = 0; chunk < ids.count; chunk += kChunk) {
    const int64_t n = std::min<int64_t>(kChunk, ids.count - chunk);
    ids.read(chunk, n, slots.value[0]);
    if (compute_indices(program, &slots, n)) continue;
    for (int64_t i = 0; i < n; i++) {
      slots.value[0][0] = ids.at(chunk + i);
      BadCode found = bad_code_of(program, &slots);
      if (found.position < 0) continue;
      found.position = chunk + i;
      return found;
    }
  }
  return {};
}

// What is wrong with row splits, or nothing.
inline std::string check_splits(const int64_t* splits, int64_t num_splits, int64_t count) {
  if (num_splits < 1) return "row splits must not be empty";
  if (splits[0] != 0 || splits[num_splits - 1] != count)
    return "row splits must run from 0 to the number of ids";
  for (int64_t i = 1; i < num_splits; i++)
    if (splits[i] < splits[i - 1]) return "row splits must not fall";
  return "";
}

// A lookup of bags of ids in tables of one type.
template <class T>
struct Lookup {
  const Program* program;
  const T* const* tables;
  Ids ids;
  Bags bags;
  Combiner combiner;
  bool mask_zero;        // id 0 is padding and not pooled
  const float* weights;  // one a position, or nullptr

  MEMCOM_INLINE float weight_of(int64_t position, int64_t id) const {
    if (mask_zero && id == 0) return 0.0f;
    return weights ? weights[position] : 1.0f;
  }
};

// By how much the sum over a bag is divided, as a factor; 0 where the divisor is 0.
MEMCOM_INLINE float bag_factor(Combiner combiner, float sum, float sum_of_squares) {
  if (combiner == Combiner::kMean) return sum == 0.0f ? 0.0f : 1.0f / sum;
  if (combiner == Combiner::kSqrtn)
    return sum_of_squares == 0.0f ? 0.0f : 1.0f / std::sqrt(sum_of_squares);
  return 1.0f;
}

constexpr int64_t kCachedValues = int64_t{1} << 18;  // 1 MB of floats stays in the cache

template <class T>
void prefetch_gathers(const Program& program, const T* const* tables, const Slots& slots,
                      int64_t n) {
  const auto prefetch = [&](bool narrow) {
    for (const Gather& gather : program.gathers) {
      if ((gather.width == 1) != narrow || gather.rows * gather.width <= kCachedValues) continue;
      const T* table = tables[gather.table];
      const int64_t* rows = slots.value[gather.slot];
      for (int64_t i = 0; i < n; i++)
        prefetch_row(table + rows[i] * gather.width, gather.width, false);
    }
  };
  // Single values are what the coefficients are made of, before any row is read.
  prefetch(true);
  prefetch(false);
}

// Constant and narrow factors of a term, times what the coefficients hold already.
template <class T>
void scale_by_narrow(const Program& program, const Term& term, const T* const* tables,
                     const Slots& slots, int64_t n, float* coefficients) {
  for (int64_t i = 0; i < n; i++) coefficients[i] *= term.constant;
  for (int f = 0; f < term.num_narrow; f++) {
    const Gather& gather = program.gathers[term.narrow[f]];
    const T* table = tables[gather.table];
    const int64_t* rows = slots.value[gather.slot];
    for (int64_t i = 0; i < n; i++) coefficients[i] *= to_float(table[rows[i]]);
  }
}

// out (+)= sum_i coefficient[i] * (product of the wide factors of id i), over ids [begin, end).
template <class T>
void add_term(const Program& program, const Term& term, const T* const* tables, const Slots& slots,
              const float* coefficients, int64_t begin, int64_t end, bool accumulate, float* out,
              float* scratch) {
  const int64_t width = term.width, n = end - begin;
  const float* c = coefficients + begin;
  if (term.num_wide == 0) {
    float sum = 0.0f;
    for (int64_t i = 0; i < n; i++) sum += c[i];
    for (int64_t k = 0; k < width; k++) out[k] = accumulate ? out[k] + sum : sum;
    return;
  }
  const Gather& first = program.gathers[term.wide[0]];
  const int64_t* rows = slots.value[first.slot] + begin;
  if (term.num_wide == 1) {
    sum_rows(tables[first.table], width, rows, c, n, accumulate, out);
    return;
  }
  const Gather& second = program.gathers[term.wide[1]];
  if (term.num_wide == 2) {
    sum_products(tables[first.table], tables[second.table], width, rows,
                 slots.value[second.slot] + begin, c, n, accumulate, out);
    return;
  }
  if (!accumulate) std::fill(out, out + width, 0.0f);
  for (int64_t i = 0; i < n; i++) {
    sum_rows(tables[first.table], width, rows + i, c + i, 1, false, scratch);
    for (int f = 1; f < term.num_wide; f++) {
      const Gather& gather = program.gathers[term.wide[f]];
      multiply_by(scratch, tables[gather.table] + slots.value[gather.slot][begin + i] * width,
                  width);
    }
    add_scaled(out, scratch, 1.0f, width, true);
  }
}

// Vectors [bags, output_dim] of bags [first, last). Returns whether every code was below its limit.
template <class T>
bool look_up(const Lookup<T>& x, int64_t first, int64_t last, float* out) {
  const Program& program = *x.program;
  const int64_t width = program.output_dim;
  const bool unit_weights = !x.weights && !x.mask_zero;
  std::vector<float> scratch(width);
  Slots slots;
  float weights[kChunk], coefficients[kMaxTerms][kChunk];
  int64_t bag = first;
  bool codes_fit = true;
  bool started = false;  // whether the bag has a sum in `out` already
  float sum = 0.0f, sum_of_squares = 0.0f;
  const int64_t end = x.bags.begin(last);
  // Whole bags where they fit: a bag that is cut is summed in two parts.
  const bool fits = !x.bags.splits && x.bags.size > 0 && x.bags.size <= kChunk;
  const int64_t at_a_time = fits ? kChunk / x.bags.size * x.bags.size : kChunk;
  for (int64_t chunk = x.bags.begin(first); bag < last;) {
    const int64_t n = std::min<int64_t>(at_a_time, end - chunk);
    x.ids.read(chunk, n, slots.value[0]);
    codes_fit &= compute_indices(program, &slots, n);
    prefetch_gathers(program, x.tables, slots, n);
    for (int64_t i = 0; i < n; i++)
      weights[i] = unit_weights ? 1.0f : x.weight_of(chunk + i, slots.value[0][i]);
    for (size_t t = 0; t < program.terms.size(); t++) {
      std::copy(weights, weights + n, coefficients[t]);
      scale_by_narrow(program, program.terms[t], x.tables, slots, n, coefficients[t]);
    }
    while (bag < last) {  // the bags that begin, go on or end in this chunk
      float* const row = out + bag * width;
      const int64_t bag_end = x.bags.begin(bag + 1);
      const int64_t from = std::max<int64_t>(x.bags.begin(bag) - chunk, 0);
      const int64_t to = std::min<int64_t>(bag_end - chunk, n);
      if (from < to) {
        int64_t written = -1;
        for (size_t t = 0; t < program.terms.size(); t++) {
          const Term& term = program.terms[t];
          const bool accumulate = started || term.first_column == written;
          add_term(program, term, x.tables, slots, coefficients[t], from, to, accumulate,
                   row + term.first_column, scratch.data());
          written = term.first_column;
        }
        for (int64_t i = from; i < to && !unit_weights; i++) {
          sum += weights[i];
          sum_of_squares += weights[i] * weights[i];
        }
        started = true;
      }
      if (bag_end > chunk + n) break;
      if (unit_weights) sum = sum_of_squares = (float)(bag_end - x.bags.begin(bag));
      if (!started)
        std::fill(row, row + width, 0.0f);
      else if (x.combiner == Combiner::kMean || x.combiner == Combiner::kSqrtn)
        scale(row, bag_factor(x.combiner, sum, sum_of_squares), width);
      started = false;
      sum = sum_of_squares = 0.0f;
      bag++;
    }
    chunk += n;
  }
  return codes_fit;
}

// The derivative [positions] by the weights of bags [first, last): with d_i the dot product of
// the gradient and vector i, (d_i - mean of d) / sum for the mean, and the like for sqrtn. Returns
// whether every code was below its limit.
template <class T>
bool weights_gradient(const Lookup<T>& x, const float* gradient, int64_t first, int64_t last,
                      float* out) {
  const Program& program = *x.program;
  const int64_t width = program.output_dim;
  std::vector<float> product(width), scratch(width);
  Slots slots;
  float coefficients[kMaxTerms][kChunk];
  bool codes_fit = true;
  for (int64_t bag = first; bag < last; bag++) {
    const float* g = gradient + bag * width;
    const int64_t begin = x.bags.begin(bag), end = x.bags.begin(bag + 1);
    float sum = 0.0f, sum_of_squares = 0.0f, weighted = 0.0f;
    for (int64_t chunk = begin; chunk < end; chunk += kChunk) {
      const int64_t n = std::min<int64_t>(kChunk, end - chunk);
      x.ids.read(chunk, n, slots.value[0]);
      codes_fit &= compute_indices(program, &slots, n);
      prefetch_gathers(program, x.tables, slots, n);
      for (size_t t = 0; t < program.terms.size(); t++) {
        std::fill(coefficients[t], coefficients[t] + n, 1.0f);
        scale_by_narrow(program, program.terms[t], x.tables, slots, n, coefficients[t]);
      }
      for (int64_t i = 0; i < n; i++) {
        const bool masked = x.mask_zero && slots.value[0][i] == 0;
        float d = 0.0f;
        for (size_t t = 0; t < program.terms.size() && !masked; t++) {
          const Term& term = program.terms[t];
          add_term(program, term, x.tables, slots, coefficients[t], i, i + 1, false, product.data(),
                   scratch.data());
          d += dot(product.data(), g + term.first_column, term.width);
        }
        out[chunk + i] = d;
        const float weight = x.weight_of(chunk + i, slots.value[0][i]);
        sum += weight;
        sum_of_squares += weight * weight;
        weighted += weight * d;
      }
    }
    if (x.combiner != Combiner::kMean && x.combiner != Combiner::kSqrtn) continue;
    const float factor = bag_factor(x.combiner, sum, sum_of_squares);
    for (int64_t i = begin; i < end; i++) {
      const int64_t id = x.ids.at(i);
      const bool masked = x.mask_zero && id == 0;
      const float inner = x.combiner == Combiner::kMean
                              ? factor * weighted
                              : factor * factor * weighted * x.weight_of(i, id);
      out[i] = masked ? 0.0f : (out[i] - inner) * factor;
    }
  }
  return codes_fit;
}

}  // namespace memcom
