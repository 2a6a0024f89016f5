// What an optimizer does to one row of a table, given the row's gradient. No TensorFlow.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>

#include "vectors.h"

namespace memcom {

enum class Rule { kAdam, kAdagrad, kRowwiseAdagrad, kSgd, kMomentum, kNesterov };

constexpr int kMaxStates = 2;

struct RuleShape {
  Rule rule;
  int num_states;        // tables of state beside the values
  bool one_state_a_row;  // instead of one for each value
  int num_hyper;
};

inline bool rule_named(const std::string& name, RuleShape* shape) {
  if (name == "adam")
    *shape = {Rule::kAdam, 2, false, 5};
  else if (name == "adagrad")
    *shape = {Rule::kAdagrad, 1, false, 3};
  else if (name == "rowwise_adagrad")
    *shape = {Rule::kRowwiseAdagrad, 1, true, 3};
  else if (name == "sgd")
    *shape = {Rule::kSgd, 0, false, 2};
  else if (name == "momentum")
    *shape = {Rule::kMomentum, 1, false, 3};
  else if (name == "nesterov")
    *shape = {Rule::kNesterov, 1, false, 3};
  else
    return false;
  return true;
}

// A table and the optimizer's state of it, which is float whatever the table is.
template <class T>
struct Updated {
  T* values;
  float* states[kMaxStates];
  const float* hyper;  // as memcom_tf/optimizers lists them for the rule; the last is the decay
};

MEMCOM_INLINE float square_root(float x) { return __builtin_sqrtf(x); }
MEMCOM_INLINE Floats square_root(const Floats& x) {
  Floats root;
  for (int i = 0; i < kLanes; i++) root[i] = __builtin_sqrtf(x[i]);
  return root;
}

MEMCOM_INLINE void read(const float* p, float* x) { *x = *p; }
MEMCOM_INLINE void read(const BFloat16* p, float* x) { *x = to_float(*p); }
MEMCOM_INLINE void read(const Float16* p, float* x) { *x = to_float(*p); }
template <class T>
MEMCOM_INLINE void read(const T* p, Floats* x) {
  *x = load(p);
}
template <class T>
MEMCOM_INLINE void write(T* p, const float& x) {
  *p = from_float<T>(x);
}
template <class T>
MEMCOM_INLINE void write(T* p, const Floats& x) {
  store(p, x);
}

// One value or eight: V is float or Floats. `row_step` is for row-wise Adagrad.
template <class V, class T>
MEMCOM_INLINE void update_values(Rule rule, const float* hyper, float row_step, const float* g_at,
                                 T* value_at, float* state_at, float* second_state_at) {
  V g{}, value{}, state{}, second{};
  read(g_at, &g);
  read(value_at, &value);
  switch (rule) {
    case Rule::kAdam:
      value -= value * hyper[4];
      read(state_at, &state);
      read(second_state_at, &second);
      state += (g - state) * hyper[1];
      second += (g * g - second) * hyper[2];
      value -= state * hyper[0] / (square_root(second) + hyper[3]);
      write(second_state_at, second);
      break;
    case Rule::kAdagrad:
      value -= value * hyper[2];
      read(state_at, &state);
      state += g * g;
      value -= g * hyper[0] / square_root(state + hyper[1]);
      break;
    case Rule::kRowwiseAdagrad:
      value -= value * hyper[2];
      value -= g * row_step;
      write(value_at, value);
      return;
    case Rule::kSgd:
      value -= value * hyper[1];
      value -= g * hyper[0];
      write(value_at, value);
      return;
    case Rule::kMomentum:
    case Rule::kNesterov:
      value -= value * hyper[2];
      read(state_at, &state);
      state = state * hyper[1] - g * hyper[0];
      value += rule == Rule::kMomentum ? state : state * hyper[1] - g * hyper[0];
      break;
  }
  write(state_at, state);
  write(value_at, value);
}

namespace lanes {

template <class T>
MEMCOM_INLINE void update_row(Rule rule, const Updated<T>& table, int64_t row, int64_t width,
                              const float* gradient) {
  T* const values = table.values + row * width;
  float row_step = 0.0f;
  if (rule == Rule::kRowwiseAdagrad) {
    float* const accumulator = table.states[0] + row;
    const float sum = *accumulator + dot(gradient, gradient, width) / (float)width;
    *accumulator = sum;
    row_step = table.hyper[0] / square_root(sum + table.hyper[1]);
  }
  // What a rule has no state for is not touched, and points to what is there.
  float none[kLanes];
  const bool has_state = rule != Rule::kRowwiseAdagrad && rule != Rule::kSgd;
  const bool has_second = rule == Rule::kAdam;
  float* const first = has_state ? table.states[0] + row * width : none;
  float* const second = has_second ? table.states[1] + row * width : none;
  int64_t i = 0;
  for (; width - i >= kLanes; i += kLanes)
    update_values<Floats>(rule, table.hyper, row_step, gradient + i, values + i,
                          first + (has_state ? i : 0), second + (has_second ? i : 0));
  for (; i < width; i++)
    update_values<float>(rule, table.hyper, row_step, gradient + i, values + i,
                         first + (has_state ? i : 0), second + (has_second ? i : 0));
}

}  // namespace lanes

template <class T>
MEMCOM_INLINE void prefetch_update(Rule rule, const Updated<T>& table, int64_t row, int64_t width) {
  prefetch_row(table.values + row * width, width, true);
  if (rule == Rule::kRowwiseAdagrad) prefetch_row(table.states[0] + row, 1, true);
  if (rule == Rule::kRowwiseAdagrad || rule == Rule::kSgd) return;
  prefetch_row(table.states[0] + row * width, width, true);
  if (rule == Rule::kAdam) prefetch_row(table.states[1] + row * width, width, true);
}

}  // namespace memcom
