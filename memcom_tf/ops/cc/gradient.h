// The gradient of a lookup, row by row: written out, or handed to an optimizer at once. No
// TensorFlow.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels.h"
#include "lookup.h"
#include "plan.h"
#include "program.h"
#include "updates.h"
#include "vectors.h"

namespace memcom {

// Where the rows of a gradient go: into slices ...
template <class T>
struct Slices {
  int64_t* indices;  // [rows]
  T* values;         // [rows, width]
};

template <class T>
struct WriteSlices {
  static constexpr bool kChangesTables = false;
  const Slices<T>* tables;
  void prefetch(int, int64_t, int64_t) const {}
  void emit(int table, int64_t position, int64_t row, int64_t width, const float* gradient) const {
    tables[table].indices[position] = row;
    copy_to(tables[table].values + position * width, gradient, width);
  }
};

// ... or into the tables.
template <class T>
struct UpdateTables {
  static constexpr bool kChangesTables = true;
  Rule rule;
  const Updated<T>* tables;
  void prefetch(int table, int64_t row, int64_t width) const {
    prefetch_update(rule, tables[table], row, width);
  }
  void emit(int table, int64_t, int64_t row, int64_t width, const float* gradient) const {
    update_row(rule, tables[table], row, width, gradient);
  }
};

// The derivative by a vector: `values` times `factor`.
struct OfVector {
  const float* values;
  float factor;
};

// The sum over the positions of a unique id of weight * factor of the bag * gradient of the bag.
template <class T>
OfVector sum_over_positions(const Lookup<T>& x, const Plan& plan, const float* gradient, int64_t id,
                            float* buffer) {
  const int64_t width = x.program->output_dim;
  const int64_t begin = plan.start[id], end = plan.start[id + 1];
  const bool divides = !plan.bag_factors.empty();
  int64_t bags[kChunk];
  float coefficients[kChunk];
  const auto read = [&](int64_t i, int64_t* bag, float* coefficient) {
    const uint64_t payload = plan.payload(i);
    *bag = (int64_t)(x.weights ? plan.bag_of[payload] : payload);
    *coefficient = x.weights ? x.weights[payload] : 1.0f;
    if (divides) *coefficient *= plan.bag_factors[*bag];
  };
  if (end - begin == 1) {
    read(begin, bags, coefficients);
    return {gradient + bags[0] * width, coefficients[0]};
  }
  for (int64_t i = begin; i < end; i += kChunk) {
    const int64_t n = std::min<int64_t>(kChunk, end - i);
    for (int64_t j = 0; j < n; j++) read(i + j, bags + j, coefficients + j);
    sum_rows(gradient, width, bags, coefficients, n, i != begin, buffer);
  }
  return {buffer, 1.0f};
}

// out (+)= the derivative of one term by one of its factors.
template <class T>
void add_derivative(const Lookup<T>& x, const Plan& plan, const Derivative& derivative, int64_t id,
                    const OfVector& of_vector, bool accumulate, float* out, float* scratch) {
  const Program& program = *x.program;
  const Term& term = *derivative.term;
  const bool by_wide = derivative.by_wide;
  const float* g = of_vector.values + term.first_column;
  float coefficient = term.constant * of_vector.factor;
  for (int f = 0; f < term.num_narrow; f++) {
    if (!by_wide && f == derivative.by) continue;
    const int gather = term.narrow[f];
    coefficient *= to_float(x.tables[program.gathers[gather].table][plan.rows[gather][id]]);
  }
  const T* others[kMaxFactors];
  int count = 0;
  for (int f = 0; f < term.num_wide; f++) {
    if (by_wide && f == derivative.by) continue;
    const int gather = term.wide[f];
    others[count++] = x.tables[program.gathers[gather].table] + plan.rows[gather][id] * term.width;
  }
  // A narrow factor takes the dot product with the last of the wide ones.
  const int multiplied = by_wide ? count : count - 1;
  for (int f = 0; f < multiplied; f++) {
    if (f == 0) std::copy(g, g + term.width, scratch);
    multiply_by(scratch, others[f], term.width);
  }
  const float* product = multiplied > 0 ? scratch : g;
  if (by_wide) {
    add_scaled(out, product, coefficient, term.width, accumulate);
  } else {
    const float sum =
        count == 0 ? sum_of(g, term.width) : dot(product, others[count - 1], term.width);
    *out = (accumulate ? *out : 0.0f) + coefficient * sum;
  }
}

// Rows [first, last) of a pass, and the rows of its riders.
template <class T, class Sink>
void gradient_rows(const Lookup<T>& x, const Plan& plan, const Pass& pass, const Groups& groups,
                   const float* gradient, const Sink& sink, int64_t first, int64_t last) {
  constexpr int64_t kAhead = 12, kEntriesAhead = 16;
  const Program& program = *x.program;
  const int64_t gathers = (int64_t)pass.gathers.size();
  const int64_t width = program.gathers[pass.gathers[0]].width;
  const size_t riders = pass.riders.size();
  int64_t widest = 0;
  for (const int rider : pass.riders) widest = std::max(widest, program.gathers[rider].width);
  std::vector<float> floats(2 * program.output_dim + width + riders * widest);
  float* const buffer = floats.data();
  float* const scratch = buffer + program.output_dim;
  float* const row_gradient = scratch + program.output_dim;
  float* const rider_gradients = row_gradient + width;
  const auto prefetch = [&](int64_t row) {
    sink.prefetch(pass.table, groups.row[row], width);
    const int64_t begin = groups.start[row];
    const int64_t end = std::min<int64_t>(groups.start[row + 1], begin + kEntriesAhead);
    for (int64_t e = begin; e < end; e++) {
      const int64_t id = groups.id_of(e, gathers);
      for (const int g : pass.read) {
        const Gather& gather = program.gathers[g];
        // What is changed is prefetched by the sink, to be written.
        if (Sink::kChangesTables && (gather.of_id || gather.table == pass.table)) continue;
        prefetch_row(x.tables[gather.table] + plan.rows[g][id] * gather.width, gather.width, false);
      }
      for (const int rider : pass.riders)
        sink.prefetch(program.gathers[rider].table, plan.rows[rider][id],
                      program.gathers[rider].width);
    }
  };
  for (int64_t r = first; r < std::min(first + kAhead, last); r++) prefetch(r);
  for (int64_t r = first; r < last; r++) {
    if (r + kAhead < last) prefetch(r + kAhead);
    bool has_row = false;
    for (int64_t e = groups.start[r]; e < groups.start[r + 1]; e++) {
      const int64_t id = groups.id_of(e, gathers);
      const size_t of_table = gathers == 1 ? 0 : groups.entries[e] - id * gathers;
      const OfVector of_vector = sum_over_positions(x, plan, gradient, id, buffer);
      for (const Derivative& derivative : pass.derivatives[of_table]) {
        add_derivative(x, plan, derivative, id, of_vector, has_row, row_gradient, scratch);
        has_row = true;
      }
      // A rider is read for the row's gradient and beside other riders, therefore changed last.
      for (size_t k = 0; k < riders; k++) {
        bool has_rider = false;
        for (const Derivative& derivative : pass.derivatives[gathers + k]) {
          add_derivative(x, plan, derivative, id, of_vector, has_rider,
                         rider_gradients + k * widest, scratch);
          has_rider = true;
        }
      }
      for (size_t k = 0; k < riders; k++) {
        const Gather& rider = program.gathers[pass.riders[k]];
        sink.emit(rider.table, id, plan.rows[pass.riders[k]][id], rider.width,
                  rider_gradients + k * widest);
      }
    }
    sink.emit(pass.table, r, groups.row[r], width, row_gradient);
  }
}

// Updates rows [first, last) of unique slices.
template <class T>
void apply_unique(Rule rule, const Updated<T>& table, int64_t width, const int64_t* indices,
                  const T* values, int64_t count, int64_t first, int64_t last) {
  constexpr int64_t kAhead = 12;
  std::vector<float> gradient(width);
  const float one = 1.0f;
  for (int64_t i = first; i < last; i++) {
    if (i + kAhead < count) prefetch_update(rule, table, indices[i + kAhead], width);
    sum_rows(values, width, &i, &one, 1, false, gradient.data());
    update_row(rule, table, indices[i], width, gradient.data());
  }
}

// Updates the rows of unique indices [first, last) of a plan made over slices with duplicates.
template <class T>
void apply_slices(Rule rule, const Updated<T>& table, int64_t width, const Plan& plan,
                  const T* values, int64_t first, int64_t last) {
  constexpr int64_t kAhead = 12;
  std::vector<float> gradient(width);
  int64_t positions[kChunk];
  float ones[kChunk];
  std::fill(ones, ones + kChunk, 1.0f);
  const int64_t* rows = plan.rows[0].data();
  for (int64_t id = first; id < last; id++) {
    if (id + kAhead < plan.num_ids()) prefetch_update(rule, table, rows[id + kAhead], width);
    const int64_t end = plan.start[id + 1];
    for (int64_t begin = plan.start[id], i = begin; i < end; i += kChunk) {
      const int64_t n = std::min<int64_t>(kChunk, end - i);
      for (int64_t j = 0; j < n; j++) positions[j] = (int64_t)plan.payload(i + j);
      sum_rows(values, width, positions, ones, n, i != begin, gradient.data());
    }
    update_row(rule, table, rows[id], width, gradient.data());
  }
}

}  // namespace memcom
