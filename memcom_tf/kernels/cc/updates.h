// What an optimizer does to one row of a table, given the row's gradient. No TensorFlow.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>

#include "vectors.h"

namespace memcom {

enum class Rule { kAdam, kAdagrad, kRowwiseAdagrad, kSgd, kMomentum, kNesterov };

constexpr int kMaxStates = 2;
constexpr int kMaxHyper = 5;

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
  float hyper[kMaxHyper];  // as memcom_tf/optimizers lists them for the rule
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

// One value or eight: V is float or Floats. `step` is for row-wise Adagrad.
template <Rule kRule, class V, class T>
MEMCOM_INLINE void update_values(const float (&hyper)[kMaxHyper], float step, const float* g_at,
                                 T* value_at, float* state_at, float* second_state_at) {
  V g{}, value{}, state{}, second{};
  read(g_at, &g);
  read(value_at, &value);
  if constexpr (kRule == Rule::kAdam) {
    read(state_at, &state);
    read(second_state_at, &second);
    state += (g - state) * hyper[1];
    second += (g * g - second) * hyper[2];
    value -= value * hyper[4];
    value -= state * hyper[0] / (square_root(second) + hyper[3]);
    write(state_at, state);
    write(second_state_at, second);
  } else if constexpr (kRule == Rule::kAdagrad) {
    read(state_at, &state);
    state += g * g;
    value -= value * hyper[2];
    value -= g * hyper[0] / square_root(state + hyper[1]);
    write(state_at, state);
  } else if constexpr (kRule == Rule::kRowwiseAdagrad) {
    value -= value * hyper[2];
    value -= g * step;
  } else if constexpr (kRule == Rule::kSgd) {
    value -= value * hyper[1];
    value -= g * hyper[0];
  } else {
    read(state_at, &state);
    state = state * hyper[1] - g * hyper[0];
    value -= value * hyper[2];
    value += kRule == Rule::kMomentum ? state : state * hyper[1] - g * hyper[0];
    write(state_at, state);
  }
  write(value_at, value);
}

MEMCOM_INLINE float* at(float* states, int64_t i) { return states ? states + i : nullptr; }

template <Rule kRule, class T>
MEMCOM_INLINE void update_row_by(const Updated<T>& table, int64_t row, int64_t width,
                                 const float* gradient) {
  constexpr int kStates = kRule == Rule::kAdam ? 2 : kRule == Rule::kSgd ? 0 : 1;
  // A copy that the stores below cannot change stays in registers.
  float hyper[kMaxHyper];
  for (int i = 0; i < kMaxHyper; i++) hyper[i] = table.hyper[i];
  T* const values = table.values + row * width;
  float* first = nullptr;
  float* second = nullptr;
  float step = 0.0f;
  if constexpr (kRule == Rule::kRowwiseAdagrad) {
    float* const accumulator = table.states[0] + row;
    *accumulator += lanes::dot(gradient, gradient, width) / (float)width;
    step = hyper[0] / square_root(*accumulator + hyper[1]);
  } else {
    if (kStates > 0) first = table.states[0] + row * width;
    if (kStates > 1) second = table.states[1] + row * width;
  }
  int64_t i = 0;
  for (; width - i >= kLanes; i += kLanes)
    update_values<kRule, Floats>(hyper, step, gradient + i, values + i, at(first, i),
                                 at(second, i));
  for (; i < width; i++)
    update_values<kRule, float>(hyper, step, gradient + i, values + i, at(first, i), at(second, i));
}

namespace lanes {

template <class T>
MEMCOM_INLINE void update_row(Rule rule, const Updated<T>& table, int64_t row, int64_t width,
                              const float* gradient) {
  switch (rule) {
    case Rule::kAdam:
      return update_row_by<Rule::kAdam>(table, row, width, gradient);
    case Rule::kAdagrad:
      return update_row_by<Rule::kAdagrad>(table, row, width, gradient);
    case Rule::kRowwiseAdagrad:
      return update_row_by<Rule::kRowwiseAdagrad>(table, row, width, gradient);
    case Rule::kSgd:
      return update_row_by<Rule::kSgd>(table, row, width, gradient);
    case Rule::kMomentum:
      return update_row_by<Rule::kMomentum>(table, row, width, gradient);
    case Rule::kNesterov:
      return update_row_by<Rule::kNesterov>(table, row, width, gradient);
  }
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
