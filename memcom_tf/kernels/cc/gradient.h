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
#include "slices.h"
#include "updates.h"
#include "vectors.h"

namespace memcom {

// Where the rows of a gradient go: into slices ...
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
    if (width == 1)  // not worth a call
      lanes::update_row(rule, tables[table], row, 1, gradient);
    else
      update_row(rule, tables[table], row, width, gradient);
  }
};

// In front of a sink: sums of stretches are kept until all of a row are there.
template <class Sink>
struct KeepPartialSums {
  static constexpr bool kChangesTables = Sink::kChangesTables;
  const Sink& sink;
  const Groups& groups;
  const int cut_table;
  float* sums;  // [partial sums, width]
  void prefetch(int table, int64_t row, int64_t width) const { sink.prefetch(table, row, width); }
  void emit(int table, int64_t position, int64_t row, int64_t width, const float* gradient) const {
    if (table == cut_table && !groups.position.empty()) {
      position = groups.position[position];
      if (position < 0) {
        std::copy(gradient, gradient + width, sums + ~position * width);
        return;
      }
    }
    sink.emit(table, position, row, width, gradient);
  }
};

// The derivative by a vector: `values` times `factor`.
struct OfVector {
  const float* values;
  float factor;
};

// The sum over the positions of a unique id of weight * factor of the bag * gradient of the bag.
template <class T>
class PositionSums {
 public:
  PositionSums(const Lookup<T>& x, const Plan& plan, const float* gradient, float* buffer)
      : x_(x),
        plan_(plan),
        gradient_(gradient),
        buffer_(buffer),
        is_large_(x.bags.count * x.program->output_dim > kCachedValues) {}

  // Of the first positions of a unique id, the rows of the gradient: random reads unless pooled.
  MEMCOM_INLINE void prefetch(int64_t id) const {
    if (!is_large_) return;
    const int64_t begin = plan_.start[id];
    const int64_t end = std::min<int64_t>(plan_.start[id + 1], begin + kPositionsAhead);
    for (int64_t i = begin; i < end; i++) {
      const uint64_t payload = plan_.payload(i);
      const int64_t bag = (int64_t)(x_.weights ? plan_.bag_of[payload] : payload);
      prefetch_row(gradient_ + bag * x_.program->output_dim, x_.program->output_dim, false);
    }
  }

  MEMCOM_INLINE OfVector of(int64_t id) const {
    const int64_t begin = plan_.start[id], end = plan_.start[id + 1];
    if (end - begin > 1) {
      // Rows of values that belong to one id follow each other.
      if (id != summed_) of_summed_ = sum(begin, end);
      summed_ = id;
      return of_summed_;
    }
    int64_t bag;
    float coefficient;
    read(begin, &bag, &coefficient);
    return {gradient_ + bag * x_.program->output_dim, coefficient};
  }

 private:
  static constexpr int64_t kPositionsAhead = 4;

  MEMCOM_INLINE void read(int64_t i, int64_t* bag, float* coefficient) const {
    const uint64_t payload = plan_.payload(i);
    *bag = (int64_t)(x_.weights ? plan_.bag_of[payload] : payload);
    *coefficient = x_.weights ? x_.weights[payload] : plan_.factor;
    if (!plan_.bag_factors.empty()) *coefficient *= plan_.bag_factors[*bag];
  }
  OfVector sum(int64_t begin, int64_t end) const {
    const int64_t width = x_.program->output_dim;
    const bool alike = !x_.weights && plan_.bag_factors.empty();
    int64_t bags[kChunk];
    float coefficients[kChunk];
    if (alike) std::fill_n(coefficients, std::min<int64_t>(kChunk, end - begin), 1.0f);
    for (int64_t i = begin; i < end; i += kChunk) {
      const int64_t n = std::min<int64_t>(kChunk, end - i);
      if (alike)
        for (int64_t j = 0; j < n; j++) bags[j] = (int64_t)plan_.payload(i + j);
      else
        for (int64_t j = 0; j < n; j++) read(i + j, bags + j, coefficients + j);
      for (int64_t j = 0; is_large_ && j < n; j++)
        prefetch_row(gradient_ + bags[j] * width, width, false);
      sum_rows(gradient_, width, bags, coefficients, n, i != begin, buffer_);
    }
    return {buffer_, alike ? plan_.factor : 1.0f};
  }

  const Lookup<T>& x_;
  const Plan& plan_;
  const float* gradient_;
  float* buffer_;
  const bool is_large_;
  mutable int64_t summed_ = -1;  // the id whose sum the buffer holds
  mutable OfVector of_summed_{};
};

// A derivative with the rows of its other factors at hand.
template <class T>
class BoundDerivative {
 public:
  BoundDerivative(const Lookup<T>& x, const Plan& plan, const Derivative& derivative)
      : term_(*derivative.term), by_wide_(derivative.by_wide) {
    const auto bind = [&](int gather) {
      return Rows{x.tables[x.program->gathers[gather].table], plan.rows[gather].data()};
    };
    for (int f = 0; f < term_.num_narrow; f++)
      if (by_wide_ || f != derivative.by) narrow_[num_narrow_++] = bind(term_.narrow[f]);
    for (int f = 0; f < term_.num_wide; f++)
      if (!by_wide_ || f != derivative.by) wide_[num_wide_++] = bind(term_.wide[f]);
  }

  // out (+)= the derivative, for a unique id.
  MEMCOM_INLINE void add(int64_t id, const OfVector& of_vector, bool accumulate, float* out,
                         float* scratch) const {
    float coefficient = term_.constant * of_vector.factor;
    for (int f = 0; f < num_narrow_; f++)
      coefficient *= to_float(narrow_[f].table[narrow_[f].rows[id]]);
    const float* g = of_vector.values + term_.first_column;
    const int64_t width = term_.width;
    // A narrow factor takes the dot product with the last of the wide ones.
    const int multiplied = by_wide_ ? num_wide_ : num_wide_ - 1;
    if (multiplied > 0) g = multiplied_by_others(multiplied, id, g, scratch);
    if (by_wide_) {
      add_scaled(out, g, coefficient, width, accumulate);
    } else {
      const Rows* const last = num_wide_ == 0 ? nullptr : wide_ + num_wide_ - 1;
      const float sum = last == nullptr
                            ? sum_of(g, width)
                            : dot(g, last->table + (int64_t)last->rows[id] * width, width);
      *out = (accumulate ? *out : 0.0f) + coefficient * sum;
    }
  }

 private:
  struct Rows {
    const T* table;
    const uint32_t* rows;
  };

  const float* multiplied_by_others(int count, int64_t id, const float* g, float* scratch) const {
    std::copy(g, g + term_.width, scratch);
    for (int f = 0; f < count; f++)
      multiply_by(scratch, wide_[f].table + (int64_t)wide_[f].rows[id] * term_.width, term_.width);
    return scratch;
  }

  const Term& term_;
  const bool by_wide_;
  int num_narrow_ = 0, num_wide_ = 0;
  Rows narrow_[kMaxFactors] = {}, wide_[kMaxFactors + 1] = {};
};

// What a thread needs for the derivatives of a pass.
template <class T>
struct PassWork {
  const int64_t width, widest;  // of the pass's table, and of its riders
  std::vector<float> floats;
  float *const scratch, *const row_gradient, *const rider_gradients;
  const PositionSums<T> sums;
  std::vector<std::vector<BoundDerivative<T>>> derivatives;  // of gathers, then of riders

  PassWork(const Lookup<T>& x, const Plan& plan, const Pass& pass, const float* gradient)
      : width(x.program->gathers[pass.gathers[0]].width),
        widest(widest_of(x, pass)),
        floats(2 * x.program->output_dim + width + pass.riders.size() * widest),
        scratch(floats.data() + x.program->output_dim),
        row_gradient(scratch + x.program->output_dim),
        rider_gradients(row_gradient + width),
        sums(x, plan, gradient, floats.data()) {
    for (const auto& of_gather : pass.derivatives) {
      derivatives.emplace_back();
      for (const Derivative& derivative : of_gather)
        derivatives.back().emplace_back(x, plan, derivative);
    }
  }
  PassWork(const PassWork&) = delete;

  static int64_t widest_of(const Lookup<T>& x, const Pass& pass) {
    int64_t widest = 0;
    for (const int rider : pass.riders) widest = std::max(widest, x.program->gathers[rider].width);
    return widest;
  }

  // The gradients of an id's riders. A rider is read for the row's gradient and beside other
  // riders, therefore changed last.
  template <class Sink>
  MEMCOM_INLINE void emit_riders(const Lookup<T>& x, const Plan& plan, const Pass& pass, int64_t id,
                                 const OfVector& of_vector, const Sink& sink) const {
    const size_t riders = pass.riders.size(), gathers = pass.gathers.size();
    for (size_t k = 0; k < riders; k++) {
      bool has_rider = false;
      for (const BoundDerivative<T>& derivative : derivatives[gathers + k]) {
        derivative.add(id, of_vector, has_rider, rider_gradients + k * widest, scratch);
        has_rider = true;
      }
    }
    for (size_t k = 0; k < riders; k++) {
      const int rider = pass.riders[k];
      const Gather& gather = x.program->gathers[rider];
      sink.emit(gather.table, id, plan.rows[rider][id], gather.width, rider_gradients + k * widest);
    }
  }
};

// Stretches [first, last) of a pass, and the rows of its riders.
template <class T, class Sink>
void gradient_rows(const Lookup<T>& x, const Plan& plan, const Pass& pass, const Groups& groups,
                   const float* gradient, const Sink& sink, int64_t first, int64_t last) {
  constexpr int64_t kAhead = 12, kEntriesAhead = 16;
  const Program& program = *x.program;
  const int64_t gathers = (int64_t)pass.gathers.size();
  const PassWork<T> work(x, plan, pass, gradient);
  const int64_t width = work.width;
  const auto prefetch = [&](int64_t row) {
    sink.prefetch(pass.table, groups.row[row], width);
    const int64_t begin = groups.start[row];
    const int64_t end = std::min<int64_t>(groups.start[row + 1], begin + kEntriesAhead);
    for (int64_t e = begin; e < end; e++) {
      const int64_t id = groups.id_of(e, gathers);
      work.sums.prefetch(id);
      for (const int g : pass.read) {
        const Gather& gather = program.gathers[g];
        // What is changed is prefetched by the sink, to be written.
        if (Sink::kChangesTables && (gather.of_id || gather.table == pass.table)) continue;
        prefetch_row(x.tables[gather.table] + (int64_t)plan.rows[g][id] * gather.width,
                     gather.width, false);
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
      const OfVector of_vector = work.sums.of(id);
      for (const BoundDerivative<T>& derivative : work.derivatives[of_table]) {
        derivative.add(id, of_vector, has_row, work.row_gradient, work.scratch);
        has_row = true;
      }
      work.emit_riders(x, plan, pass, id, of_vector, sink);
    }
    sink.emit(pass.table, r, groups.row[r], width, work.row_gradient);
  }
}

// Unique ids [first, last) of a pass: what each adds to the sums [rows, width] of the rows that it
// reads, and the rows of its riders.
template <class T, class Sink>
void gradient_of_ids(const Lookup<T>& x, const Plan& plan, const Pass& pass, const Groups& groups,
                     const float* gradient, const Sink& sink, int64_t first, int64_t last,
                     float* row_sums) {
  constexpr int64_t kAhead = 8;
  const PassWork<T> work(x, plan, pass, gradient);
  for (int64_t id = first; id < last; id++) {
    if (id + kAhead < last) work.sums.prefetch(id + kAhead);
    const OfVector of_vector = work.sums.of(id);
    for (size_t g = 0; g < pass.gathers.size(); g++) {
      const int64_t position = groups.position_of[plan.rows[pass.gathers[g]][id]];
      for (const BoundDerivative<T>& derivative : work.derivatives[g])
        derivative.add(id, of_vector, true, row_sums + position * work.width, work.scratch);
    }
    work.emit_riders(x, plan, pass, id, of_vector, sink);
  }
}

// A pass whose ids are in shares.
template <class T, class Sink, class Share>
void gradient_of_shares(const Lookup<T>& x, const Plan& plan, const Pass& pass,
                        const Groups& groups, const float* gradient, const Sink& sink,
                        const Share& share) {
  const int64_t width = x.program->gathers[pass.gathers[0]].width;
  const int64_t size = groups.num_rows * width;
  std::vector<float>& sums = groups.sums;
  sums.assign(groups.num_shares() * size, 0.0f);
  share(groups.num_shares(), [&](int64_t first, int64_t last) {
    for (int64_t s = first; s < last; s++)
      gradient_of_ids(x, plan, pass, groups, gradient, sink, groups.share[s], groups.share[s + 1],
                      sums.data() + s * size);
  });
  for (int64_t s = 1; s < groups.num_shares(); s++)
    add_scaled(sums.data(), sums.data() + s * size, 1.0f, size, true);
  for (int64_t r = 0; r < groups.num_rows; r++)
    sink.emit(pass.table, r, groups.row[r], width, sums.data() + r * width);
}

// A whole pass. `share(count, work)` calls work(first, last) until all of `count` are done, with as
// many threads as it likes.
template <class T, class Sink, class Share>
void gradient_pass(const Lookup<T>& x, const Plan& plan, const Pass& pass, const Groups& groups,
                   const float* gradient, const Sink& sink, const Share& share) {
  if (!groups.share.empty())
    return gradient_of_shares(x, plan, pass, groups, gradient, sink, share);
  const int64_t width = x.program->gathers[pass.gathers[0]].width;
  std::vector<float> sums(groups.num_partial_sums * width);
  const KeepPartialSums<Sink> keep{sink, groups, pass.table, sums.data()};
  share(groups.num_stretches(), [&](int64_t first, int64_t last) {
    gradient_rows(x, plan, pass, groups, gradient, keep, first, last);
  });
  for (const Cut& cut : groups.cuts) {
    float* const total = sums.data() + cut.first * width;
    for (int64_t s = 1; s < cut.count; s++) add_scaled(total, total + s * width, 1.0f, width, true);
    sink.emit(pass.table, cut.position, cut.row, width, total);
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
  const uint32_t* rows = plan.rows[0].data();
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
