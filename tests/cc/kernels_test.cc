// The kernels against sums in double precision, over random programs, bags and widths, and
// against hostile input. Built with sanitizers; needs no TensorFlow.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <thread>
#include <type_traits>

#include "gradient.h"
#include "sketch.h"

using namespace memcom;

namespace {

int failures = 0;
std::mt19937 generator(1);

void expect(bool holds, const char* what, int at) {
  if (holds) return;
  std::printf("FAILED: %s (case %d)\n", what, at);
  failures++;
}

int64_t uniform(int64_t low, int64_t high) {
  return std::uniform_int_distribution<int64_t>(low, high)(generator);
}
float normal() { return std::normal_distribution<float>(0.5f, 1.0f)(generator); }

// An index in its own words, beside the code that the kernels read.
struct Map {
  char kind;
  int64_t constant;
  std::vector<int64_t> codes = {};  // of all ids
  int64_t operator()(int64_t id) const {
    switch (kind) {
      case 'c':
        return codes[id];
      case 'm':
        return id % constant;
      case 'd':
        return id / constant;
      case 'n':
        return std::min(id, constant);
      case 'h':  // subtracts first, so that the remainder of negative numbers is taken
        return ((id * 3 - 50) % constant + constant) % constant;
      default:
        return id;
    }
  }
};

struct TestGather {
  int table, slot;
  int64_t width;
  Map map;
};
struct TestTerm {
  double constant;
  int first_column;
  int64_t width;
  std::vector<int> factors;
};

template <class T>
struct Case {
  int64_t input_dim;
  std::vector<int64_t> code, rows, widths;
  std::vector<int64_t> own_rows, own_widths;  // of tables of which single values are read
  std::vector<float> constants;
  std::vector<TestGather> gathers;
  std::vector<TestTerm> terms;
  std::vector<std::vector<T>> tables;
  std::vector<uint8_t> bytes;  // a table of codes [input_dim, 3]
  std::vector<int32_t> words;  // and one [m, 2]
  std::vector<Codes> codes;
  std::vector<int64_t> wide_ids, splits;
  std::vector<int32_t> narrow_ids;
  std::vector<float> weights, gradient;
  Program program;
  std::vector<const T*> pointers;
  Lookup<T> lookup;
  int64_t num_bags, output_dim = 0;
};

// `mixed` lets tables meet in one product whose rows group the ids differently.
template <class T>
void fill_case(Case<T>* c, int64_t width, bool ragged, bool weighted, bool masked,
               Combiner combiner, bool mixed) {
  c->input_dim = uniform(1, 300);
  std::vector<int64_t> instructions;
  int num_instructions = 0;
  std::vector<std::pair<Map, int>> maps = {{{'i', 0}, 0}};
  const auto line = [&](std::initializer_list<int64_t> parts) {
    instructions.insert(instructions.end(), parts);
    num_instructions++;
  };
  const int64_t m = uniform(1, c->input_dim);
  line({1, 0, 0, m}), maps.push_back({{'m', m}, 1});
  line({2, 1, 0, m}), maps.push_back({{'d', m}, 2});
  line({3, 4, 0, m - 1}), maps.push_back({{'n', m - 1}, 3});
  line({4, 2, 0, 3}), line({4, 3, 4, -50}), line({4, 0, 4, m}), maps.push_back({{'h', m}, 4});
  // Codes of the id, of its remainder, and one of both by whether it is below m.
  const int64_t limit = uniform(1, 40), other_limit = uniform(1, 40);
  Map of_id{'c', limit}, of_remainder{'c', other_limit}, of_both{'c', std::max(limit, other_limit)};
  for (int64_t i = 0; i < 3 * c->input_dim; i++) c->bytes.push_back((uint8_t)uniform(0, limit - 1));
  for (int64_t i = 0; i < 2 * m; i++) c->words.push_back((int32_t)uniform(0, other_limit - 1));
  c->codes = {{c->bytes.data(), false, c->input_dim, 3}, {c->words.data(), true, m, 2}};
  const int64_t column = uniform(0, 2), other_column = uniform(0, 1);
  for (int64_t id = 0; id < c->input_dim; id++) {
    of_id.codes.push_back(c->bytes[3 * id + column]);
    of_remainder.codes.push_back(c->words[2 * (id % m) + other_column]);
    of_both.codes.push_back(id < m ? of_id.codes[id] : of_remainder.codes[id]);
  }
  line({5, 7, 0, 0, column, limit}), maps.push_back({of_id, 5});
  line({6, 7, 1, 1, other_column, other_limit}), maps.push_back({of_remainder, 6});
  line({7, 3, 0, -m}), line({7, 8, 7, 5, 6}), maps.push_back({of_both, 7});
  const int64_t last_map = (int64_t)maps.size() - 1;
  const auto rows_of = [&](const Map& map) {
    if (map.kind == 'c') return map.constant;
    int64_t largest = 0;
    for (int64_t id = 0; id < c->input_dim; id++) largest = std::max(largest, map(id));
    return map.kind == 'h' || map.kind == 'm' ? std::max(largest + 1, m) : largest + 1;
  };
  const auto add_table = [&](int64_t rows, int64_t table_width) {
    // At times its single values are the rows of a wider table.
    const int64_t own_width = table_width == 1 && uniform(0, 3) == 0 ? uniform(2, 3) : table_width;
    if (own_width != table_width) rows = (rows + own_width - 1) / own_width * own_width;
    c->rows.push_back(rows), c->widths.push_back(table_width);
    c->own_rows.push_back(rows * table_width / own_width), c->own_widths.push_back(own_width);
    std::vector<T> values(rows * table_width);
    for (T& value : values) value = from_float<T>(normal());
    c->tables.push_back(values);
    return (int)c->tables.size() - 1;
  };
  std::vector<int64_t> segments;
  const int num_segments = (int)uniform(1, 2);
  segments.push_back(num_segments);
  for (int s = 0; s < num_segments; s++) {
    const int num_terms = (int)uniform(1, 2);
    segments.push_back(width), segments.push_back(num_terms);
    for (int t = 0; t < num_terms; t++) {
      TestTerm term{uniform(1, 3) * 0.5, (int)c->output_dim, width, {}};
      const int num_factors = (int)uniform(1, mixed ? 4 : 3);
      for (int f = 0; f < num_factors; f++) {
        // Unless mixed, one table groups the ids and the others have a row an id.
        const auto& [map, slot] = maps[mixed || f == 0 ? uniform(0, last_map) : 0];
        const int64_t factor_width = uniform(0, 2) ? width : 1;
        const bool again = mixed && !c->gathers.empty() && uniform(0, 4) == 0 &&
                           c->rows[c->gathers.back().table] >= rows_of(map) &&
                           c->gathers.back().width == factor_width;
        const int table = again ? c->gathers.back().table : add_table(rows_of(map), factor_width);
        c->gathers.push_back({table, slot, factor_width, map});
        term.factors.push_back((int)c->gathers.size() - 1);
      }
      segments.push_back(num_factors);
      segments.insert(segments.end(), term.factors.begin(), term.factors.end());
      c->constants.push_back((float)term.constant);
      c->terms.push_back(term);
    }
    c->output_dim += width;
  }
  c->code = {c->input_dim, num_instructions};
  c->code.insert(c->code.end(), instructions.begin(), instructions.end());
  c->code.push_back((int64_t)c->gathers.size());
  for (const TestGather& g : c->gathers)
    for (const int64_t part : {(int64_t)g.table, g.width, (int64_t)g.slot}) c->code.push_back(part);
  c->code.insert(c->code.end(), segments.begin(), segments.end());

  c->num_bags = uniform(0, 9);
  c->splits = {0};
  const int64_t size = combiner == Combiner::kNone ? 1 : uniform(0, 150);
  for (int64_t b = 0; b < c->num_bags; b++)
    c->splits.push_back(c->splits.back() + (ragged ? uniform(0, 90) : size));
  for (int64_t i = 0; i < c->splits.back(); i++) {
    const double u = uniform(0, 999) / 1000.0;
    c->wide_ids.push_back((int64_t)(u * u * u * (double)c->input_dim));
    c->narrow_ids.push_back((int32_t)c->wide_ids.back());
    c->weights.push_back(normal());
  }
  for (int64_t i = 0; i < c->num_bags * c->output_dim; i++) c->gradient.push_back(normal());
  for (const auto& table : c->tables) c->pointers.push_back(table.data());
  Lookup<T>& x = c->lookup;
  x.program = &c->program, x.tables = c->pointers.data();
  const bool is_int64 = uniform(0, 1) == 1;
  x.ids = {is_int64 ? (const void*)c->wide_ids.data() : (const void*)c->narrow_ids.data(), is_int64,
           (int64_t)c->wide_ids.size()};
  x.bags = {c->num_bags, size, ragged ? c->splits.data() : nullptr};
  x.combiner = combiner, x.mask_zero = masked && combiner != Combiner::kNone;
  x.weights = weighted && combiner != Combiner::kNone ? c->weights.data() : nullptr;
}

// What the kernels must give, and how much rounding may move it.
template <class T>
struct Oracle {
  std::vector<double> out, out_size, weights, weights_size;
  std::vector<std::map<int64_t, std::vector<double>>> tables, tables_size;

  explicit Oracle(const Case<T>& c) : tables(c.tables.size()), tables_size(c.tables.size()) {
    const Lookup<T>& x = c.lookup;
    const int64_t d = c.output_dim;
    out.assign(c.num_bags * d, 0), out_size = out;
    weights.assign(c.wide_ids.size(), 0), weights_size = weights;
    for (int64_t b = 0; b < c.num_bags; b++) {
      double sum = 0, squares = 0;
      const auto weight = [&](int64_t p) {
        if (x.mask_zero && c.wide_ids[p] == 0) return 0.0;
        return x.weights ? (double)x.weights[p] : 1.0;
      };
      for (int64_t p = c.splits[b]; p < c.splits[b + 1]; p++)
        sum += weight(p), squares += weight(p) * weight(p);
      double factor = 1;
      if (x.combiner == Combiner::kMean) factor = sum == 0 ? 0 : 1 / sum;
      if (x.combiner == Combiner::kSqrtn) factor = squares == 0 ? 0 : 1 / std::sqrt(squares);
      double weighted = 0, weighted_size = 0;
      for (int64_t p = c.splits[b]; p < c.splits[b + 1]; p++) {
        if (x.mask_zero && c.wide_ids[p] == 0) continue;
        const double w = weight(p) * factor;
        for (const TestTerm& term : c.terms)
          for (int64_t k = 0; k < term.width; k++) {
            const double g = c.gradient[b * d + term.first_column + k];
            const auto value = [&](int f) {
              const TestGather& gather = c.gathers[term.factors[f]];
              const int64_t row = gather.map(c.wide_ids[p]);
              return (double)to_float(
                  c.tables[gather.table][row * gather.width + (gather.width == 1 ? 0 : k)]);
            };
            double product = term.constant;
            for (size_t f = 0; f < term.factors.size(); f++) product *= value((int)f);
            out[b * d + term.first_column + k] += w * product;
            out_size[b * d + term.first_column + k] += std::fabs(w * product);
            weights[p] += g * product, weights_size[p] += std::fabs(g * product);
            weighted += weight(p) * g * product;
            weighted_size += std::fabs(weight(p) * g * product);
            for (size_t f = 0; f < term.factors.size(); f++) {
              double others = term.constant;
              for (size_t o = 0; o < term.factors.size(); o++)
                if (o != f) others *= value((int)o);
              const TestGather& gather = c.gathers[term.factors[f]];
              const int64_t row = gather.map(c.wide_ids[p]);
              auto& sums = tables[gather.table][row];
              auto& sizes = tables_size[gather.table][row];
              sums.resize(gather.width), sizes.resize(gather.width);
              const int64_t column = gather.width == 1 ? 0 : k;
              sums[column] += w * g * others, sizes[column] += std::fabs(w * g * others);
            }
          }
      }
      if (x.combiner != Combiner::kMean && x.combiner != Combiner::kSqrtn) continue;
      for (int64_t p = c.splits[b]; p < c.splits[b + 1]; p++) {
        if (x.mask_zero && c.wide_ids[p] == 0) continue;
        const double back = x.combiner == Combiner::kMean ? factor : factor * factor * weight(p);
        weights[p] = (weights[p] - back * weighted) * factor;
        weights_size[p] = (weights_size[p] + std::fabs(back) * weighted_size) * std::fabs(factor);
      }
    }
  }
};

// A sum of n terms in float32 is off by at most about n eps of the sum of their sizes; what
// stands here allows for the sums of weights that are divided by, too.
bool near(double found, double expected, double size, double sums) {
  return std::fabs(found - expected) <= 1e-6 * (20 + sums) * (size + 1e-6);
}

const auto in_two_parts = [](int64_t n, const auto& part) {
  part(int64_t{0}, n / 2);
  part(n / 2, n);
};

// Short enough, at times, that the few entries of a case are cut.
int64_t stretch_of(int at) { return at % 3 ? kStretch : 1 + at % 4; }

// Shares of the ids of a pass, or none.
int64_t shares_at(const Pass& pass, int at) { return pass.gathers.size() > 1 ? at % 4 : 0; }

#define HYPER {.1f, .1f, .001f, 1e-3f, .01f}

// Each rule in place equals the rule on the slices: unique, and cut into duplicates.
void check_updates(const Case<float>& c, const Plan& plan, const std::vector<Pass>& passes,
                   const std::vector<Groups>& groups,
                   const std::vector<std::vector<int64_t>>& indices,
                   const std::vector<std::vector<float>>& values, int at) {
  const char* const rules[] = {"adam", "adagrad", "rowwise_adagrad", "sgd", "momentum", "nesterov"};
  RuleShape shape{};
  expect(rule_named(rules[at % 6], &shape), "rule", at);
  expect(!rule_named("newton", &shape) && rule_named(rules[at % 6], &shape), "rule", at);
  struct Copy {
    std::vector<std::vector<float>> parts;
    Updated<float> updated;
  };
  const auto copy_of = [&](size_t t) {
    Copy copy;
    copy.parts.push_back(c.tables[t]);
    for (int s = 0; s < kMaxStates; s++)
      copy.parts.emplace_back(shape.one_state_a_row ? c.rows[t] : c.tables[t].size(), 1.5f);
    copy.updated = {copy.parts[0].data(), {copy.parts[1].data(), copy.parts[2].data()}, HYPER};
    return copy;
  };
  std::vector<Copy> in_place;
  std::vector<const float*> pointers;
  std::vector<Updated<float>> updated;
  for (size_t t = 0; t < c.tables.size(); t++) in_place.push_back(copy_of(t));
  for (auto& copy : in_place) {
    pointers.push_back(copy.parts[0].data());
    updated.push_back({copy.parts[0].data(), {copy.parts[1].data(), copy.parts[2].data()}, HYPER});
  }
  Lookup<float> on_copies = c.lookup;
  on_copies.tables = pointers.data();
  const bool independent = updates_in_place(c.program);
  if (independent) {
    const UpdateTables<float> sink{shape.rule, updated.data()};
    if (passes.size() == 1 && at % 2) {  // as threads do, each with a part of the rows
      for (const int64_t part : {2, 0, 3, 1}) {
        Plan of_part;
        Groups of_rows;
        std::vector<uint64_t> buffer;
        expect(make_plan(on_copies, passes[0], &of_part, {part, 4}).empty(), "part", at);
        make_groups(c.program, passes[0], of_part, &buffer, &of_rows, stretch_of(at), 0);
        gradient_pass(on_copies, of_part, passes[0], of_rows, c.gradient.data(), sink,
                      in_two_parts);
      }
    } else {
      for (size_t p = 0; p < passes.size(); p++)
        gradient_pass(on_copies, plan, passes[p], groups[p], c.gradient.data(), sink, in_two_parts);
    }
  }
  for (size_t t = 0; t < c.tables.size(); t++) {
    const int64_t width = c.widths[t], count = (int64_t)indices[t].size();
    Copy unique = copy_of(t);
    Updated<float> target{
        unique.parts[0].data(), {unique.parts[1].data(), unique.parts[2].data()}, HYPER};
    in_two_parts(count, [&](int64_t a, int64_t b) {
      apply_unique(shape.rule, target, width, indices[t].data(), values[t].data(), count, a, b);
    });
    if (independent) expect(unique.parts == in_place[t].parts, "update in place", at);
    // Every slice again as twice its half.
    std::vector<int64_t> twice(indices[t]);
    twice.insert(twice.end(), indices[t].begin(), indices[t].end());
    std::vector<float> halves(values[t]);
    for (float& value : halves) value *= 0.5f;
    halves.insert(halves.end(), halves.begin(), halves.begin() + count * width);
    Program rows;
    const std::vector<int64_t> code = {c.rows[t], 0, 1, 0, width, 0, 1, width, 1, 1, 0};
    expect(rows.parse(code, {1.0f}, 1).empty() && rows.bind({c.rows[t]}, {width}).empty(),
           "rows as a program", at);
    const Lookup<float> duplicates{
        &rows, nullptr, {twice.data(), true, 2 * count}, {2 * count, 1, nullptr}, Combiner::kNone,
        false, nullptr};
    Plan slices_plan;
    expect(make_plan(duplicates, passes_of(rows)[0], &slices_plan).empty(), "plan", at);
    Copy summed = copy_of(t);
    Updated<float> other{
        summed.parts[0].data(), {summed.parts[1].data(), summed.parts[2].data()}, HYPER};
    in_two_parts(slices_plan.num_ids(), [&](int64_t a, int64_t b) {
      apply_slices(shape.rule, other, width, slices_plan, halves.data(), a, b);
    });
    expect(unique.parts == summed.parts, "update by slices with duplicates", at);
  }
}

template <class T>
void check_case(Case<T>* c, int at) {
  const std::string wrong = c->program.parse(c->code, c->constants, (int)c->tables.size(), 2);
  expect(wrong.empty(), wrong.c_str(), at);
  const std::string unbound = c->program.bind(c->own_rows, c->own_widths, c->codes);
  expect(unbound.empty(), unbound.c_str(), at);
  if (!wrong.empty() || !unbound.empty()) return;
  const Lookup<T>& x = c->lookup;
  const Oracle<T> oracle(*c);
  const double n = 200.0 * (double)c->output_dim / 8.0;
  // Weights that nearly cancel make any mean ill-conditioned.
  bool conditioned = true;
  for (int64_t b = 0; b < c->num_bags && x.weights; b++) {
    double sum = 0, size = 0;
    for (int64_t p = c->splits[b]; p < c->splits[b + 1]; p++) {
      const float weight = x.weight_of(p, c->wide_ids[p]);
      sum += weight, size += std::fabs(weight);
    }
    conditioned &= size == 0 || std::fabs(sum) > 0.1 * size;
  }
  if (!conditioned) return;

  std::vector<float> out(c->num_bags * c->output_dim, NAN);
  in_two_parts(c->num_bags, [&](int64_t a, int64_t b) {
    expect(look_up(x, a, b, out.data()), "codes below their limits", at);
  });
  bool good = true;
  for (size_t i = 0; i < out.size(); i++)
    good &= near(out[i], oracle.out[i], oracle.out_size[i], n);
  expect(good, "vectors", at);

  std::vector<float> by_weights(c->wide_ids.size(), NAN);
  in_two_parts(c->num_bags, [&](int64_t a, int64_t b) {
    expect(weights_gradient(x, c->gradient.data(), a, b, by_weights.data()),
           "codes below their limits", at);
  });
  good = true;
  for (size_t i = 0; i < by_weights.size(); i++)
    good &= near(by_weights[i], oracle.weights[i], oracle.weights_size[i], n);
  expect(good, "gradient of the weights", at);

  Plan plan;
  const std::vector<Pass> passes = passes_of(c->program);
  expect(make_plan(x, passes[0], &plan).empty(), "plan", at);
  const int64_t ids = plan.num_ids();
  std::vector<std::vector<int64_t>> indices(c->tables.size());
  std::vector<std::vector<T>> values(c->tables.size());
  std::vector<Slices<T>> slices(c->tables.size());
  std::vector<uint64_t> buffer;
  std::vector<Groups> groups(passes.size());
  std::vector<int> seen(c->tables.size(), 0);
  const auto allocate = [&](int table, int64_t count) {
    seen[table]++;
    indices[table].assign(count, -1), values[table].resize(count * c->widths[table]);
    slices[table] = {indices[table].data(), values[table].data()};
  };
  for (size_t p = 0; p < passes.size(); p++) {
    const std::string wrong = make_groups(c->program, passes[p], plan, &buffer, &groups[p],
                                          stretch_of(at), shares_at(passes[p], at));
    expect(wrong.empty(), "groups", at);
    allocate(passes[p].table, groups[p].num_rows);
    for (const int rider : passes[p].riders) allocate(c->program.gathers[rider].table, ids);
    const WriteSlices<T> sink{slices.data()};
    gradient_pass(x, plan, passes[p], groups[p], c->gradient.data(), sink, in_two_parts);
  }
  for (size_t t = 0; t < c->tables.size(); t++) {
    expect(seen[t] == 1, "every table has one pass", at);
    auto expected = oracle.tables[t];
    good = indices[t].size() == expected.size();
    for (size_t r = 0; r < indices[t].size(); r++) {
      const auto found = expected.find(indices[t][r]);
      if (found == expected.end()) {  // also when a row comes twice
        good = false;
        break;
      }
      for (int64_t k = 0; k < c->widths[t]; k++) {
        const double size = oracle.tables_size[t].at(indices[t][r])[k];
        const double half = sizeof(T) == 2 ? std::fabs(found->second[k]) / 128 + 1e-4 : 0;
        good &= half > 0
                    ? std::fabs(to_float(values[t][r * c->widths[t] + k]) - found->second[k]) <=
                          half + 1e-6 * (20 + n) * size
                    : near(to_float(values[t][r * c->widths[t] + k]), found->second[k], size, n);
      }
      expected.erase(found);
    }
    expect(good, "gradient of a table", at);
  }
  if constexpr (std::is_same_v<T, float>)
    check_updates(*c, plan, passes, groups, indices, values, at);
}

template <class T>
void random_cases(int count) {
  const int64_t widths[] = {1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 100, 129};
  const Combiner combiners[] = {Combiner::kNone, Combiner::kSum, Combiner::kMean, Combiner::kSqrtn};
  for (int at = 0; at < count; at++) {
    const Combiner combiner = combiners[uniform(0, 3)];
    Case<T> c;
    fill_case(&c, widths[at % 15], combiner != Combiner::kNone && uniform(0, 1), uniform(0, 1),
              uniform(0, 1), combiner, uniform(0, 1));
    check_case(&c, at);
  }
}

void hostile_programs(int count) {
  Case<float> c;
  fill_case(&c, 8, false, false, false, Combiner::kSum, true);
  int refused = 0;
  for (int at = 0; at < count; at++) {
    std::vector<int64_t> code = c.code;
    const int changes = (int)uniform(1, 3);
    for (int i = 0; i < changes; i++) {
      const int64_t values[] = {0,
                                1,
                                -1,
                                15,
                                16,
                                63,
                                64,
                                1 << 20,
                                INT64_MAX,
                                INT64_MIN,
                                kLargestInteger,
                                uniform(-5, 300)};
      code[uniform(0, (int64_t)code.size() - 1)] = values[uniform(0, 11)];
    }
    if (uniform(0, 3) == 0) code.resize(uniform(0, (int64_t)code.size()));
    Program program;
    if (!program.parse(code, c.constants, (int)c.tables.size(), 2).empty() ||
        !program.bind(c.own_rows, c.own_widths, c.codes).empty()) {
      refused++;
      continue;
    }
    // What is accepted stays inside the tables for every id that is accepted.
    if (program.output_dim > 4096) continue;
    Lookup<float> x = c.lookup;
    x.program = &program;
    if (find_outside(x.ids, program.input_dim) >= 0) continue;
    std::vector<float> out(c.num_bags * program.output_dim);
    look_up(x, 0, c.num_bags, out.data());
    std::vector<float> gradient(c.num_bags * program.output_dim, 1.0f);
    Plan plan;
    const std::vector<Pass> passes = passes_of(program);
    expect(make_plan(x, passes[0], &plan).empty(), "plan of a changed program", at);
  }
  expect(refused > count / 4, "changed programs are refused", refused);
}

void hostile_ids() {
  for (const int64_t bad : {int64_t{-1}, int64_t{100}, INT64_MIN, INT64_MAX, int64_t{1} << 32}) {
    std::vector<int64_t> wide(70, 99);
    wide[66] = bad;
    expect(find_outside({wide.data(), true, 70}, 100) == 66, "an int64 id outside", (int)bad);
    std::vector<int32_t> narrow(70, 99);
    narrow[3] = bad == INT64_MIN ? INT32_MIN : bad == INT64_MAX ? INT32_MAX : bad == -1 ? -1 : 100;
    expect(find_outside({narrow.data(), false, 70}, 100) == 3, "an int32 id outside", (int)bad);
  }
  const std::vector<int32_t> largest = {INT32_MAX, 0};
  expect(find_outside({largest.data(), false, 2}, int64_t{1} << 40) == -1, "large vocabulary", 0);
  const std::vector<int32_t> lowest = {7, INT32_MIN};
  expect(find_outside({lowest.data(), false, 2}, int64_t{3} << 30) == 1, "large vocabulary", 1);
  const int64_t good[] = {0, 2, 2, 5}, falling[] = {0, 3, 2, 5}, late[] = {1, 2, 5};
  expect(check_splits(good, 4, 5).empty(), "row splits", 0);
  expect(!check_splits(good, 4, 6).empty() && !check_splits(falling, 4, 5).empty() &&
             !check_splits(late, 3, 5).empty() && !check_splits(good, 0, 0).empty(),
         "row splits that are wrong", 0);
}

// Integer division by a reciprocal is exact over its whole range.
void divisions() {
  for (int i = 0; i < 200000; i++) {
    const int64_t divisor = uniform(1, int64_t{1} << uniform(0, 50));
    int64_t x = uniform(-kLargestInteger, kLargestInteger);
    if (i % 2) x = std::min(x / divisor * divisor + uniform(-1, 1), kLargestInteger);
    int64_t expected = x / divisor - (x % divisor < 0);
    if (floor_divide(x, divisor, 1.0 / (double)divisor) != expected)
      return expect(false, "floor_divide", i);
  }
}

// Every half-precision number survives, and rounding goes to the nearest, ties to even.
void half_precision() {
  for (uint32_t bits = 0; bits < 65536; bits++) {
    const Float16 h{(uint16_t)bits};
    const BFloat16 b{(uint16_t)bits};
    const float x = to_float(h), y = to_float(b);
    const bool same = (std::isnan(x) || from_float<Float16>(x).bits == h.bits) &&
                      (std::isnan(y) || from_float<BFloat16>(y).bits == b.bits);
    if (!same) return expect(false, "half precision round trip", (int)bits);
    if (std::isnan(x) != ((bits & 0x7fff) > 0x7c00)) return expect(false, "NaN", (int)bits);
    Float16 eight[8];
    BFloat16 other[8];
    for (int i = 0; i < 8; i++) eight[i] = h, other[i] = b;
    const float at = load(eight)[3], at_other = load(other)[5];
    if (bit_cast<uint32_t>(at) != bit_cast<uint32_t>(x) && !std::isnan(x))
      return expect(false, "half precision, eight at a time", (int)bits);
    if (bit_cast<uint32_t>(at_other) != bit_cast<uint32_t>(y) && !std::isnan(y))
      return expect(false, "bfloat16, eight at a time", (int)bits);
    if (bits < 0x7bff) {  // a positive number and the next one
      const float next = to_float(Float16{(uint16_t)(bits + 1)}), half = x + (next - x) / 2;
      const uint16_t even = bits & 1 ? (uint16_t)(bits + 1) : (uint16_t)bits;
      if (from_float<Float16>(half).bits != even ||
          from_float<Float16>(std::nextafter(half, 1e9f)).bits != bits + 1)
        return expect(false, "half precision rounding", (int)bits);
    }
  }
  for (uint32_t bits = 0x0080; bits < 0x7f7f; bits++) {
    const float x = to_float(BFloat16{(uint16_t)bits});
    const float half = x + (to_float(BFloat16{(uint16_t)(bits + 1)}) - x) / 2;
    if (from_float<BFloat16>(half).bits != bits + (bits & 1) ||
        from_float<BFloat16>(std::nextafter(half, INFINITY)).bits != bits + 1)
      return expect(false, "bfloat16 rounding", (int)bits);
  }
  expect(from_float<Float16>(65519.0f).bits == 0x7bff, "largest", 0);
  expect(from_float<Float16>(65520.0f).bits == 0x7c00, "overflow", 0);
}

// Ids of 51 bits leave 13 bits to tell the positions of a batch apart, and none to exchange digits.
void largest_vocabulary() {
  const int64_t input_dim = kLargestInteger, base = 1024;
  for (const int64_t rows : {base, input_dim / 2 + 1}) {
    const std::vector<int64_t> code = {input_dim, 1, 1, 0, 0, rows, 1, 0, 1, 1, 1, 1, 1, 1, 0};
    Program program;
    expect(program.parse(code, {1.0f}, 1).empty(), "largest vocabulary", 0);
    const IdKeys keys(program, passes_of(program)[0]);
    expect(keys.base == (rows == base ? base : 0), "exchanged digits stay exact", 0);
  }
  Program program;
  program.parse({input_dim, 1, 1, 0, 0, base, 1, 0, 1, 1, 1, 1, 1, 1, 0}, {1.0f}, 1);
  expect(program.bind({base}, {1}).empty(), "bind", 0);
  const std::vector<float> table(base, 1.0f);
  const float* const tables[] = {table.data()};
  for (const int64_t count : {8192, 8193}) {
    const std::vector<int64_t> ids(count, input_dim - 1);
    const Lookup<float> lookup{
        &program, tables, {ids.data(), true, count}, {count, 1, nullptr}, Combiner::kNone,
        false,    nullptr};
    Plan plan;
    const std::string wrong = make_plan(lookup, passes_of(program)[0], &plan);
    expect(wrong.empty() == (count == 8192), "a batch that is too large", (int)count);
  }
}

// What a program must not get away with.
void refused_programs() {
  const auto parses = [](const std::vector<int64_t>& code, const std::vector<float>& constants) {
    return Program().parse(code, constants, 1).empty();
  };
  const std::vector<int64_t> good = {10, 0, 1, 0, 2, 0, 1, 2, 1, 1, 0};
  std::vector<int64_t> longer = good;
  longer.push_back(0);
  expect(parses(good, {1.0f}) && !parses(longer, {1.0f}), "code that goes on", 0);
  expect(!parses(good, {1.0f, 1.0f}) && !parses(good, {}), "a constant a term", 0);
  expect(!parses({}, {}) && !parses({10, 0, 0, 1, 2, 1, 1, 0}, {1.0f}), "no gathers", 0);
  expect(!parses({10, 0, 2, 0, 2, 0, 0, 2, 0, 1, 2, 1, 1, 0}, {1.0f}), "a gather of no term", 0);
  expect(!parses({10, 0, 1, 0, 1, 0, 1, 1 << 20, 1, 1, 0}, {1.0f}), "one value broadcast", 0);
  expect(!parses({10, 0, 2, 0, 2, 0, 0, 1, 0, 1, 2, 1, 2, 0, 1}, {1.0f}), "two widths", 0);
  Program program;
  program.parse(good, {1.0f}, 1);
  expect(program.bind({10}, {2}).empty() && !program.bind({9}, {2}).empty(), "the last row", 0);
  // id - id % 3 is never negative, but x - y of such ranges could be.
  const std::vector<int64_t> difference = {10, 2, 1, 0, 0, 3, 2, 6, 0, 1,
                                           1,  0, 2, 2, 1, 2, 1, 1, 0};
  expect(program.parse(difference, {1.0f}, 1).empty(), "a difference", 0);
  expect(!program.bind({100}, {2}).empty(), "a row that may be negative", 0);
}

// Codes beyond their limit are found, and none is read as a row.
void bad_codes() {
  // A vector of 2 columns, of row codes[id][1] of a table of `limit` rows.
  const auto code = [](int64_t rows, int64_t column, int64_t limit) {
    return std::vector<int64_t>{rows, 1, 1, 7, 0, 0, column, limit, 1, 0, 2, 1, 1, 2, 1, 1, 0};
  };
  const auto program_of = [&](const std::vector<int64_t>& code, const Codes& codes, int64_t limit) {
    Program program;
    if (!program.parse(code, {1.0f}, 1, 1).empty() || !program.bind({limit}, {2}, {codes}).empty())
      program.gathers.clear();
    return program;
  };
  std::vector<uint8_t> bytes(200, 3);
  std::vector<int32_t> words(200, 3);
  const Codes narrow{bytes.data(), false, 100, 2}, wide{words.data(), true, 100, 2};
  std::vector<int64_t> ids(100);
  for (int64_t i = 0; i < 100; i++) ids[i] = 99 - i;
  const Ids batch{ids.data(), true, 100};
  for (const Codes& codes : {narrow, wide}) {
    bytes.assign(200, 3), words.assign(200, 3);
    const Program program = program_of(code(100, 1, 4), codes, 4);
    expect(!program.gathers.empty() && program.needs_check(), "codes", 0);
    expect(find_bad_code(program, batch).position == -1, "codes in their limit", 0);
    for (const int64_t bad : {int64_t{4}, int64_t{255}, int64_t{-1}, (int64_t)INT32_MIN}) {
      if (bad < 0 && !codes.is_int32) continue;
      bytes.assign(200, 3), words.assign(200, 3);
      bytes[2 * 20] = (uint8_t)bad, words[2 * 20] = (int32_t)bad;  // another column
      expect(find_bad_code(program, batch).position == -1, "codes of no gather", (int)bad);
      bytes[2 * 20 + 1] = (uint8_t)bad, words[2 * 20 + 1] = (int32_t)bad;
      const BadCode found = find_bad_code(program, batch);
      expect(found.position == 79 && found.code == bad && found.column == 1 && found.limit == 4 &&
                 found.table == 0,
             "a code beyond its limit", (int)bad);
      // Whoever reads it nevertheless gets row 0, and is told.
      const float table[] = {7, 7, 0, 0, 0, 0, 0, 0}, gradient[] = {1, 1};
      const float* const tables[] = {table};
      float vector[2], slope;
      const int64_t id = 20;
      const Lookup<float> lookup{&program,       tables, {&id, true, 1}, {1, 1, nullptr},
                                 Combiner::kSum, false,  nullptr};
      expect(!look_up(lookup, 0, 1, vector) && vector[1] == 7, "no other row", (int)bad);
      expect(!weights_gradient(lookup, gradient, 0, 1, &slope) && slope == 14, "no row", (int)bad);
      Plan plan;
      expect(make_plan(lookup, passes_of(program)[0], &plan).empty(), "plan", (int)bad);
      expect(!plan.codes_fit && plan.rows[0][0] == 0, "no other row's gradient", (int)bad);
    }
  }
  bytes.assign(200, 3), words.assign(200, 3);
  expect(!program_of(code(100, 1, 256), narrow, 256).needs_check(), "every byte is a code", 0);
  expect(program_of(code(100, 1, 256), wide, 256).needs_check(), "an int32 may be no code", 0);
  expect(program_of(code(101, 1, 4), narrow, 4).gathers.empty(), "ids without codes", 0);
  expect(program_of(code(100, 2, 4), narrow, 4).gathers.empty(), "a column that is not there", 0);
  expect(program_of(code(100, 1, 5), narrow, 4).gathers.empty(), "more codes than rows", 0);
  Program program;
  expect(!program.parse(code(100, 1, 4), {1.0f}, 1).empty(), "no table of codes", 0);
  expect(!program.parse(code(100, 1, 0), {1.0f}, 1, 1).empty(), "a limit of 0", 0);
  expect(!program.parse(code(100, -1, 4), {1.0f}, 1, 1).empty(), "a column below 0", 0);
}

// How many shares a batch of codes has: it is not for large tables, or for few ids.
void shares() {
  const auto shares_of_rows = [](int64_t rows, int64_t width, int64_t ids) {
    const std::vector<int64_t> code = {rows, 0, 2,     0, width, 0, 0, width,
                                       0,    1, width, 2, 1,     0, 1, 1};
    Program program;
    expect(program.parse(code, {1.0f, 1.0f}, 1).empty(), "two gathers", 0);
    expect(program.bind({rows}, {width}).empty(), "two gathers", 0);
    return shares_of(program, passes_of(program)[0], ids);
  };
  expect(shares_of_rows(100, 4, 399) == 0 && shares_of_rows(100, 4, 400) == 1, "shares", 0);
  expect(shares_of_rows(100, 4, 1200) == 3 && shares_of_rows(100, 4, 1 << 20) == 8, "shares", 1);
  expect(shares_of_rows(1 << 17, 4, 1 << 24) == 1, "the largest table", 0);
  expect(shares_of_rows(1 << 15, 4, 1 << 24) == 4, "sums that stay in the cache", 0);
  expect(shares_of_rows((1 << 17) + 1, 4, 1 << 24) == 0, "a table that is too large", 0);
}

// Values of rows become rows, each once, with 0 where there is no value.
void joined_values() {
  const std::vector<int64_t> numbers = {1, 3, 4, 5, 11};
  const std::vector<float> single = {1, 2, 3, 4, 5};
  expect(count_rows(numbers.data(), 5, 3) == 3 && count_rows(numbers.data(), 0, 3) == 0, "rows", 0);
  std::vector<int64_t> indices(3, -1);
  std::vector<float> values(9, NAN);
  join_values<float>({const_cast<int64_t*>(numbers.data()), const_cast<float*>(single.data())}, 5,
                     3, {indices.data(), values.data()});
  expect(indices == std::vector<int64_t>({0, 1, 3}), "joined rows", 0);
  expect(values == std::vector<float>({0, 1, 0, 2, 3, 4, 0, 0, 5}), "joined values", 0);
}

// A row that comes more often than rows are summed at a time.
void a_row_many_times() {
  constexpr int64_t kTimes = 3 * kChunk + 1;
  Program rows;
  expect(rows.parse({9, 0, 1, 0, 2, 0, 1, 2, 1, 1, 0}, {1.0f}, 1).empty(), "rows", 0);
  expect(rows.bind({9}, {2}).empty(), "rows", 0);
  const std::vector<int64_t> indices(kTimes, 4);
  const std::vector<float> values(2 * kTimes, 1.0f);
  const Lookup<float> duplicates{
      &rows, nullptr, {indices.data(), true, kTimes}, {kTimes, 1, nullptr}, Combiner::kNone,
      false, nullptr};
  Plan plan;
  expect(make_plan(duplicates, passes_of(rows)[0], &plan).empty(), "plan", 0);
  std::vector<float> table(18, 0.0f);
  const Updated<float> updated{table.data(), {}, {1.0f}};
  apply_slices(Rule::kSgd, updated, 2, plan, values.data(), 0, plan.num_ids());
  expect(table[8] == -(float)kTimes && table[9] == -(float)kTimes && table[7] == 0, "sum", 0);
}

// A cell of a bucket for an id, in other words than those of `cell_of`.
int64_t expected_cell(const Sketch& sketch, int64_t first, int32_t id) {
  std::vector<int64_t> known, unused, numbers, free;
  for (int64_t cell = first; cell < first + kCells; cell++) {
    if (sketch.ids[cell] == id) known.push_back(cell);
    if (sketch.rows[cell] != 0) continue;
    free.push_back(cell);
    if (sketch.ids[cell] == 0) unused.push_back(cell);
    if (sketch.scores[cell] < INFINITY) numbers.push_back(cell);
  }
  std::stable_sort(numbers.begin(), numbers.end(),
                   [&](int64_t a, int64_t b) { return sketch.scores[a] < sketch.scores[b]; });
  for (const auto* cells : {&known, &unused, &numbers, &free})
    if (!cells->empty()) return cells->front();
  return -1;
}

// Streams into sketches that may hold anything: no other cell changes than the one that should.
void sketches(int count) {
  const std::vector<int32_t> odd_ids = {INT32_MIN, -1, 0, 1, 2, INT32_MAX};
  const std::vector<float> odd_scores = {NAN, INFINITY, -INFINITY, -1, 0};
  const auto pick = [](const auto& from) { return from[uniform(0, (int64_t)from.size() - 1)]; };
  for (int at = 0; at < count; at++) {
    const int64_t buckets = uniform(1, 9), input_dim = uniform(1, at % 5 ? 200 : INT32_MAX - 1);
    const bool hostile = at % 2;
    std::vector<int32_t> ids(kCells * buckets), rows(ids.size());
    std::vector<float> scores(ids.size()), errors(ids.size());
    for (size_t cell = 0; cell < ids.size() && hostile; cell++) {
      ids[cell] = pick(odd_ids), rows[cell] = pick(odd_ids), scores[cell] = pick(odd_scores);
    }
    const int64_t prime = at % 3 ? 2147483647 : 251;
    const UniversalHash hash{uniform(0, prime - 1), uniform(0, prime - 1), prime, buckets};
    expect(hash.is_valid(), "a hash", at);
    std::vector<int64_t> batch(uniform(0, 300));
    for (int64_t& id : batch) id = std::min(uniform(0, input_dim - 1), uniform(0, input_dim - 1));
    const bool one_for_all = at % 4 == 0;
    std::vector<float> values(one_for_all ? 1 : batch.size());
    for (float& value : values) value = normal();
    if (!values.empty() && at % 7 == 0) values[0] = pick(odd_scores);

    std::vector<int32_t> wanted_ids = ids;
    std::vector<float> wanted_scores = scores, wanted_errors = errors;
    const Sketch wanted{wanted_ids.data(), rows.data(), wanted_scores.data(), nullptr};
    std::vector<int64_t> order;
    std::map<int64_t, double> sums;
    for (size_t i = 0; i < batch.size(); i++) {
      if (!sums.count(batch[i])) order.push_back(batch[i]);
      sums[batch[i]] += values[one_for_all ? 0 : i];
    }
    for (const int64_t id : order) {
      const float value = (float)sums[id];
      const int64_t cell = expected_cell(wanted, kCells * hash(id), (int32_t)id + 1);
      if (!(value > 0 && value < INFINITY) || cell < 0) continue;
      if (wanted_ids[cell] != id + 1) wanted_errors[cell] = wanted_scores[cell];
      wanted_ids[cell] = (int32_t)id + 1, wanted_scores[cell] += value;
    }
    SummedIds summed;
    summed.sum({batch.data(), true, (int64_t)batch.size()}, values.data(), one_for_all);
    insert({ids.data(), rows.data(), scores.data(), errors.data()}, hash, summed);
    const auto equal = [](float a, float b) { return a == b || (std::isnan(a) && std::isnan(b)); };
    bool same = ids == wanted_ids;
    for (size_t cell = 0; cell < ids.size(); cell++)
      same &= equal(scores[cell], wanted_scores[cell]) && equal(errors[cell], wanted_errors[cell]);
    expect(same, "a sketch", at);
    for (const int64_t id : order) {
      int32_t row = 0;
      for (int64_t cell = kCells * hash(id); cell < kCells * hash(id) + kCells; cell++)
        if (ids[cell] == id + 1 && rows[cell] > row) row = rows[cell];
      expect(row_of(ids.data(), rows.data(), hash, id) == row, "the row of an id", at);
    }
  }
  for (const UniversalHash& bad : {UniversalHash{5, 0, 5, 1},
                                   {0, -1, 5, 1},
                                   {0, 0, 0, 1},
                                   {0, 0, int64_t{1} << 31, 1},
                                   {0, 0, 5, 0}})
    expect(!bad.is_valid(), "a hash that is refused", 0);
}

// Threads write disjoint rows of the same tables: the thread sanitizer watches.
void threads() {
  Case<float> c;
  std::vector<Pass> passes;
  Plan plan;
  Groups groups;
  std::vector<uint64_t> buffer;
  do {
    c = Case<float>();
    fill_case(&c, 16, false, false, false, Combiner::kMean, false);
    c.program.parse(c.code, c.constants, (int)c.tables.size(), 2);
    c.codes = {{c.bytes.data(), false, c.codes[0].rows, 3},
               {c.words.data(), true, c.codes[1].rows, 2}};
    c.program.bind(c.own_rows, c.own_widths, c.codes);
    c.lookup.program = &c.program, c.lookup.tables = c.pointers.data();
    c.lookup.ids.data =
        c.lookup.ids.is_int64 ? (const void*)c.wide_ids.data() : (const void*)c.narrow_ids.data();
    c.lookup.bags.splits = nullptr;
    passes = passes_of(c.program);
    expect(make_plan(c.lookup, passes[0], &plan).empty(), "plan", 0);
    expect(make_groups(c.program, passes[0], plan, &buffer, &groups, 2, 0).empty(), "groups", 0);
  } while (passes.size() > 1 || groups.cuts.empty() || c.num_bags < 4 || c.wide_ids.size() < 200);
  std::vector<std::vector<float>> states;
  std::vector<Updated<float>> updated;
  for (auto& table : c.tables) {
    for (int s = 0; s < kMaxStates; s++) states.emplace_back(table.size(), 1.0f);
    updated.push_back({table.data(),
                       {states[states.size() - 2].data(), states[states.size() - 1].data()},
                       HYPER});
  }
  std::vector<float> out(c.num_bags * c.output_dim);
  std::vector<std::thread> workers;
  const auto run = [&](int64_t n, auto part) {
    for (int64_t k = 0; k < 4; k++) workers.emplace_back([=] { part(n * k / 4, n * (k + 1) / 4); });
    for (std::thread& worker : workers) worker.join();
    workers.clear();
  };
  run(c.num_bags, [&](int64_t a, int64_t b) { look_up(c.lookup, a, b, out.data()); });
  const UpdateTables<float> sink{Rule::kAdam, updated.data()};
  gradient_pass(c.lookup, plan, passes[0], groups, c.gradient.data(), sink, run);

  // Shares of the ids, each with sums of its own: two rows of one table, by the id and by its half.
  Program program;
  const std::vector<int64_t> code = {300, 1, 1, 1, 0, 2, 2, 0, 4, 0, 0, 4, 1, 1, 4, 2, 1, 0, 1, 1};
  expect(program.parse(code, {1.0f, 1.0f}, 1).empty() && program.bind({300}, {4}).empty(), "", 0);
  const std::vector<float> table(1200, 1.0f), gradient(4 * 600, 1.0f);
  const float* const tables[] = {table.data()};
  std::vector<int64_t> ids(600), indices(300);
  std::vector<float> values(1200);
  for (int64_t i = 0; i < 600; i++) ids[i] = i / 2;
  const Lookup<float> lookup{
      &program, tables, {ids.data(), true, 600}, {600, 1, nullptr}, Combiner::kNone,
      false,    nullptr};
  const Pass pass = passes_of(program)[0];
  expect(make_plan(lookup, pass, &plan).empty(), "plan", 0);
  expect(make_groups(program, pass, plan, &buffer, &groups, kStretch, 7).empty(), "groups", 0);
  const Slices<float> slices{indices.data(), values.data()};
  gradient_pass(lookup, plan, pass, groups, gradient.data(), WriteSlices<float>{&slices}, run);
  for (int64_t row = 0; row < 300; row++)
    expect(indices[row] == row && values[4 * row] == (row < 150 ? 6.0f : 2.0f), "shares", (int)row);
}

}  // namespace

// `kernels_test [COUNT]`: how many random cases of floats there are.
int main(int argc, char** argv) {
  const int cases = argc > 1 ? std::atoi(argv[1]) : 1500;
  divisions();
  half_precision();
  hostile_ids();
  hostile_programs(14 * cases);
  largest_vocabulary();
  refused_programs();
  bad_codes();
  shares();
  joined_values();
  a_row_many_times();
  sketches(cases);
  random_cases<float>(cases);
  random_cases<BFloat16>(cases / 7);
  random_cases<Float16>(cases / 7);
  threads();
  if (failures == 0) std::printf("kernels: every case holds\n");
  return failures != 0;
}
