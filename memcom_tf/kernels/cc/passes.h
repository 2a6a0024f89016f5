// Which tables' gradients are computed together, and of what they are made. No TensorFlow.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "program.h"

namespace memcom {

// One factor of one term: what a table's gradient sums over.
struct Derivative {
  const Term* term;
  bool by_wide;
  int by;  // the factor's number among the wide or the narrow ones
};

// The gradient of one table, and of the tables with a row an id that are computed beside it.
struct Pass {
  int table;
  std::vector<int> gathers;                            // of that table
  std::vector<int> riders;                             // gathers of other tables, each by the id
  std::vector<std::vector<Derivative>> derivatives{};  // of `gathers`, then of `riders`
  std::vector<int> read{};                             // gathers whose rows the derivatives need
};

inline void find_derivatives(const Program& program, Pass* pass) {
  std::vector<bool> read(program.gathers.size(), false);
  const auto add = [&](int gather) {
    pass->derivatives.emplace_back();
    for (const Term& term : program.terms) {
      const auto factors = [&](const int* of_term, int count, bool wide) {
        for (int f = 0; f < count; f++) {
          if (of_term[f] != gather) continue;
          pass->derivatives.back().push_back({&term, wide, f});
          for (int o = 0; o < term.num_wide; o++)
            if (!wide || o != f) read[term.wide[o]] = true;
          for (int o = 0; o < term.num_narrow; o++)
            if (wide || o != f) read[term.narrow[o]] = true;
        }
      };
      factors(term.wide, term.num_wide, true);
      factors(term.narrow, term.num_narrow, false);
    }
  };
  for (const int gather : pass->gathers) add(gather);
  for (const int rider : pass->riders) add(rider);
  for (size_t g = 0; g < read.size(); g++)
    if (read[g]) pass->read.push_back((int)g);
}

// Every table in exactly one pass, as its own or as a rider.
inline std::vector<Pass> passes_of(const Program& program) {
  std::vector<std::vector<int>> gathers(program.num_tables);
  for (size_t g = 0; g < program.gathers.size(); g++)
    gathers[program.gathers[g].table].push_back((int)g);
  const auto by_id = [&](int table) {
    return gathers[table].size() == 1 && program.gathers[gathers[table][0]].of_id;
  };
  const auto width = [&](int table) { return program.gathers[gathers[table][0]].width; };
  std::vector<Pass> passes;
  int widest = -1;
  for (int table = 0; table < program.num_tables; table++) {
    if (gathers[table].empty()) continue;
    if (!by_id(table)) passes.push_back({table, gathers[table], {}});
    if (widest < 0 || width(table) > width(widest)) widest = table;
  }
  if (passes.empty()) passes.push_back({widest, gathers[widest], {}});
  for (int table = 0; table < program.num_tables; table++) {
    if (gathers[table].empty() || !by_id(table) || table == passes[0].table) continue;
    const int rider = gathers[table][0];
    Pass* owner = &passes[0];
    for (Pass& pass : passes)
      for (const Term& term : program.terms) {
        bool has_rider = false, has_table = false;
        const auto look = [&](const int* factors, int count) {
          for (int f = 0; f < count; f++) {
            has_rider |= factors[f] == rider;
            has_table |= program.gathers[factors[f]].table == pass.table;
          }
        };
        look(term.wide, term.num_wide);
        look(term.narrow, term.num_narrow);
        if (has_rider && has_table) owner = &pass;
      }
    owner->riders.push_back(rider);
  }
  // The widest first: the order of ids suits it.
  std::stable_sort(passes.begin(), passes.end(),
                   [&](const Pass& a, const Pass& b) { return width(a.table) > width(b.table); });
  for (Pass& pass : passes) find_derivatives(program, &pass);
  return passes;
}

// Whether every table can be changed while the gradients are computed: no gradient needs a row
// that belongs to another pass, or to another row of its own.
inline bool updates_in_place(const Program& program) {
  const std::vector<Pass> passes = passes_of(program);
  std::vector<int> owner(program.num_tables, -1);  // the pass of a table
  for (size_t p = 0; p < passes.size(); p++) {
    if (passes[p].gathers.size() != 1) return false;
    owner[passes[p].table] = (int)p;
    for (const int rider : passes[p].riders) owner[program.gathers[rider].table] = (int)p;
  }
  for (const Term& term : program.terms) {
    int pass = -1;
    const auto fits = [&](const int* factors, int count) {
      for (int f = 0; f < count; f++) {
        const int of_factor = owner[program.gathers[factors[f]].table];
        if (pass >= 0 && of_factor != pass) return false;
        pass = of_factor;
      }
      return true;
    };
    if (!fits(term.wide, term.num_wide) || !fits(term.narrow, term.num_narrow)) return false;
  }
  return true;
}

}  // namespace memcom
