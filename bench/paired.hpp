// SPDX-License-Identifier: MIT
#pragma once

// Paired slices: wall times scatter by a quarter on small virtual machines, the ratio of two neighbouring slices does
// not. Google Benchmark runs and reports; every iteration is one round of slices, the bare baseline's among them.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "crew.hpp"

namespace bench {

struct spread {
  double low, median, high;  // quartiles in the middle
};

inline spread spread_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    return values[static_cast<std::size_t>(share * double(values.size() - 1) + 0.5)];
  };
  return {at(0.25), at(0.5), at(0.75)};
}

constexpr double slice_seconds = 100e-6;

/// The shortest of three slices that nobody disturbed, or of as many as it takes to give up on that.
inline double shortest_slice(crew& threads, const contender& who) {
  double shortest = 1e9;
  for (int clean = 0, tries = 0; clean != 3 && tries != 30; ++tries) {
    const slice part = threads.run(who);
    clean += part.clean ? 1 : 0;
    shortest = std::min(shortest, part.seconds);
  }
  return shortest;
}

/// How many operations make a chunk, and if one is long, how many chunks a slice, so that slices of cheap and dear
/// contenders take the same time.
inline void calibrate(crew& threads, contender& who) {
  for (;;) {
    const double seconds = shortest_slice(threads, who);
    if (who.ops == 1 && seconds > slice_seconds) {
      who.chunks = std::max<std::size_t>(1, static_cast<std::size_t>(double(who.chunks) * slice_seconds / seconds));
      return;
    }
    if (seconds * 4 > slice_seconds) {
      who.ops = std::max<std::size_t>(1, static_cast<std::size_t>(double(who.ops) * slice_seconds / seconds));
      return;
    }
    who.ops *= 4;
  }
}

/// Measures the last of `line`. The first is the baseline, for the counters ratio, low and high; one in between is what
/// the counters over, over_low and over_high compare with.
inline void measure(benchmark::State& state, unsigned nr_threads, std::vector<contender> line) {
  crew threads{nr_threads};
  for (contender& who : line) calibrate(threads, who);

  const std::size_t last = line.size() - 1;
  std::vector<std::vector<double>> rounds;  // seconds per item of each contender
  std::size_t dropped = 0;
  for (auto _ : state) {
    std::vector<double> cost(line.size());
    // What a disturbed slice took must not end the run early.
    double seconds = slice_seconds;
    bool clean = false;
    for (int tries = 0; !clean && tries != 20; ++tries) {
      clean = true;
      std::fill(cost.begin(), cost.end(), 0.0);
      // There and back: who is last runs twice in a row, and finds its pages in the cache the second time only.
      for (std::size_t k = 0; k != 2 * line.size(); ++k) {
        const std::size_t i = k <= last ? k : 2 * last + 1 - k;
        const slice part = threads.run(line[i]);
        if (i == last && part.clean) seconds = part.seconds;
        clean = clean && part.clean;
        cost[i] += part.seconds / (2 * double(line[i].chunks * line[i].ops) * line[i].items);
      }
      if (!clean) ++dropped;
    }
    if (clean) rounds.push_back(cost);
    state.SetIterationTime(seconds);
  }

  // The hypervisor takes a core away without telling: such slices stick out.
  std::vector<double> usual(line.size());
  const auto column = [&](std::size_t i) {
    std::vector<double> values;
    for (const auto& cost : rounds) values.push_back(cost[i]);
    return values;
  };
  if (!rounds.empty())
    for (std::size_t i = 0; i != line.size(); ++i) usual[i] = spread_of(column(i)).median;
  const auto sticks_out = [&](const std::vector<double>& cost) {
    for (std::size_t i = 0; i != line.size(); ++i)
      if (cost[i] > 3 * usual[i]) return true;
    return false;
  };
  dropped += std::erase_if(rounds, sticks_out);
  if (rounds.empty()) {
    state.SkipWithError("every slice was disturbed");
    return;
  }

  const auto report = [&](std::size_t base, const std::string& middle, const std::string& prefix) {
    std::vector<double> ratios;
    for (const auto& cost : rounds) ratios.push_back(cost[last] / cost[base]);
    const spread found = spread_of(std::move(ratios));
    state.counters[middle] = found.median;
    state.counters[prefix + "low"] = found.low;
    state.counters[prefix + "high"] = found.high;
  };
  report(0, "ratio", "");
  if (line.size() == 3) report(1, "over", "over_");
  state.counters["ns"] = spread_of(column(last)).median * 1e9;
  state.counters["bare_ns"] = spread_of(column(0)).median * 1e9;
  state.counters["rounds"] = double(rounds.size());
  state.counters["dropped"] = double(dropped);
}

/// Rounds of slices for each benchmark: `--rounds=N`.
inline int rounds = 40;
/// Numbers of threads: `--threads=1,2,8`.
inline std::vector<unsigned> thread_counts{1, 2};
/// For how many threads a workload keeps something for each.
inline std::size_t most_threads() {
  return std::max(2u, *std::max_element(thread_counts.begin(), thread_counts.end()));
}

template <class Body>
void add_one(const std::string& workload, const std::string& scheme, unsigned nr_threads, Body body) {
  const std::string name = workload + "/" + scheme + "/t" + std::to_string(nr_threads);
  benchmark::RegisterBenchmark(name.c_str(),
                               [=](benchmark::State& state) {
                                 if (nr_threads > cores.size())
                                   state.SkipWithError("needs more cores");
                                 else
                                   body(state, nr_threads);
                               })
      ->UseManualTime()
      ->Iterations(rounds);
}

/// Registers `workload/scheme/tN`; `body(state, threads)` calls `measure`. What is for one thread runs if one is asked
/// for; what is for two runs with each number from two on that is asked for.
template <class Body>
void add(const std::string& workload, const std::string& scheme, unsigned nr_threads, Body body) {
  for (const unsigned wanted : thread_counts)
    if (wanted == 1 ? nr_threads == 1 : nr_threads > 1) add_one(workload, scheme, wanted, body);
}

/// Takes `name=VALUE` out of the arguments; null without it.
inline const char* take_option(int& argc, char** argv, std::string_view name) {
  const char* found = nullptr;
  for (int i = 1; i < argc; ++i)
    if (std::string_view{argv[i]}.starts_with(name)) {
      found = argv[i] + name.size();
      std::rotate(argv + i, argv + i + 1, argv + argc--);
      --i;
    }
  return found;
}

/// 1 or more numbers with commas in between; ends the program at anything else.
inline std::vector<unsigned> numbers_of(const char* text) {
  std::vector<unsigned> found;
  for (char* end = nullptr;; text = end + 1) {
    found.push_back(static_cast<unsigned>(std::strtoul(text, &end, 10)));
    const bool more = *end == ',';
    if (end == text || found.back() == 0 || (!more && *end != '\0')) {
      std::fprintf(stderr, "not a list of numbers: %s\n", text);
      std::exit(2);
    }
    if (!more) return found;
  }
}

/// Peers that are not installed.
inline std::string absent_peers;
inline void absent(const char* name) {
  absent_peers += absent_peers.empty() ? name : std::string(" ") + name;
}

/// What `BENCH_MAIN` has been given in this program.
inline std::vector<void (*)()> all_benchmarks;

inline int run_all(int argc, char** argv) {
  if (const char* text = take_option(argc, argv, "--rounds=")) rounds = std::max(1, std::atoi(text));
  if (const char* text = take_option(argc, argv, "--threads=")) thread_counts = numbers_of(text);
  // libstdc++ counts without atomics until a program has started its first thread.
  std::thread{[] {}}.join();
  benchmark::Initialize(&argc, argv);
  for (const auto add_benchmarks : all_benchmarks) add_benchmarks();
  benchmark::AddCustomContext("absent", absent_peers);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

}  // namespace bench

/// At the end of every file of benchmarks: `add_benchmarks` registers them. The main of its program, but where all
/// files are one program.
#ifdef BENCH_ALL
#define BENCH_MAIN(add_benchmarks) \
  [[maybe_unused]] static const bool bench_registered = (bench::all_benchmarks.push_back(add_benchmarks), true);
#else
#define BENCH_MAIN(add_benchmarks)                   \
  int main(int argc, char** argv) {                  \
    bench::all_benchmarks.push_back(add_benchmarks); \
    return bench::run_all(argc, argv);               \
  }
#endif
