// What memory alone costs a training step: the step's random accesses without its arithmetic, and
// the bandwidth of a STREAM triad. Usage: memory_floor ACCESSES THREADS; prints JSON.
//
// ACCESSES is a file of int64: width, table rows, scalar rows, number of steps; then for each step
// the number of rows and the rows, the number of scalars and the scalars, both rising.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <thread>
#include <vector>

namespace {

constexpr int kCopies = 3;  // The table and the two moments of Adam.
constexpr int kAhead = 16;  // Rows that are prefetched; memory answers late.
constexpr int kRepetitions = 9;
constexpr int64_t kTriadElements = 1 << 25;  // 256 MB an array, beyond any cache.
constexpr float kFactor = 1.0001f;

struct Step {
  std::vector<int64_t> rows, scalars;
};

double milliseconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

void on_threads(int threads, const std::function<void(int)>& work) {
  std::vector<std::thread> others;
  for (int t = 1; t < threads; ++t) others.emplace_back(work, t);
  work(0);
  for (auto& other : others) other.join();
}

std::vector<float> repeated(const std::function<void()>& work) {
  std::vector<float> times;
  work();
  for (int i = 0; i < kRepetitions; ++i) times.push_back(milliseconds(work));
  std::sort(times.begin(), times.end());
  return times;
}

// Reads and writes the rows of every copy, once.
void update(const std::vector<int64_t>& rows, int64_t begin, int64_t end, int64_t width,
            std::vector<float>* copies) {
  for (int64_t i = begin; i < end; ++i) {
    if (i + kAhead < end) {
      for (int c = 0; c < kCopies; ++c) {
        for (int64_t k = 0; k < width; k += 16) {
          __builtin_prefetch(&copies[c][rows[i + kAhead] * width + k], 1);
        }
      }
    }
    for (int c = 0; c < kCopies; ++c) {
      float* row = &copies[c][rows[i] * width];
      for (int64_t k = 0; k < width; ++k) row[k] *= kFactor;
    }
  }
}

// One thread's share of a step; threads do not wait for each other between steps.
void update_share(const std::vector<int64_t>& rows, int thread, int threads, int64_t width,
                  std::vector<float>* copies) {
  const int64_t n = rows.size();
  update(rows, n * thread / threads, n * (thread + 1) / threads, width, copies);
}

double triad_gigabytes_per_second(int threads) {
  std::vector<double> a(kTriadElements, 1.0), b(kTriadElements, 2.0), c(kTriadElements, 3.0);
  const auto times = repeated([&] {
    on_threads(threads, [&](int t) {
      const int64_t end = kTriadElements * (t + 1) / threads;
      for (int64_t i = kTriadElements * t / threads; i < end; ++i) a[i] = b[i] + 0.5 * c[i];
    });
  });
  // As STREAM reports it: the best repetition, and no byte for fetching what is overwritten.
  return 3 * sizeof(double) * kTriadElements / (times.front() * 1e6);
}

int64_t read_number(std::ifstream& file) {
  int64_t number = 0;
  file.read(reinterpret_cast<char*>(&number), sizeof(number));
  return number;
}

std::vector<int64_t> read_list(std::ifstream& file) {
  std::vector<int64_t> list(read_number(file));
  file.read(reinterpret_cast<char*>(list.data()), list.size() * sizeof(int64_t));
  return list;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  std::ifstream file(argv[1], std::ios::binary);
  const int threads = std::atoi(argv[2]);
  const int64_t width = read_number(file), table_rows = read_number(file);
  const int64_t scalar_rows = read_number(file);
  std::vector<Step> steps(read_number(file));
  for (auto& step : steps) {
    step.rows = read_list(file);
    step.scalars = read_list(file);
  }
  if (!file || threads < 1 || steps.empty()) return 2;

  std::vector<float> tables[kCopies], scalars[kCopies];
  for (int c = 0; c < kCopies; ++c) {
    tables[c].assign(table_rows * width, 1.0f);
    scalars[c].assign(scalar_rows, 1.0f);
  }
  const auto times = repeated([&] {
    on_threads(threads, [&](int t) {
      for (const auto& step : steps) {
        update_share(step.rows, t, threads, width, tables);
        update_share(step.scalars, t, threads, 1, scalars);
      }
    });
  });
  std::printf("{\"ms\": %.5g, \"triad_gb_per_s\": %.4g}\n", times[times.size() / 2] / steps.size(),
              triad_gigabytes_per_second(threads));
  return 0;
}
