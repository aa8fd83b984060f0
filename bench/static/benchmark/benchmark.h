// SPDX-License-Identifier: MIT
#pragma once

// The few names of Google Benchmark that the benchmarks use, for the static program: distributions have that library as
// a shared one only. Takes --benchmark_filter, --benchmark_list_tests=true and --benchmark_out, and writes the same
// JSON as far as tools/bench reads it.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <deque>
#include <fstream>
#include <functional>
#include <map>
#include <regex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace benchmark {

template <class T>
inline void DoNotOptimize(T&& value) {
  asm volatile("" : : "g"(value) : "memory");
}

class State {
 public:
  explicit State(std::size_t rounds) : rounds_(rounds) {}

  struct end {};
  struct iterator {
    std::size_t left;
    struct [[maybe_unused]] unused {};
    unused operator*() const { return {}; }
    iterator& operator++() { return --left, *this; }
    bool operator!=(end) const { return left != 0; }
  };
  [[nodiscard]] iterator begin() const { return {rounds_}; }
  [[nodiscard]] end end() const { return {}; }

  void SetIterationTime(double) {}
  void SkipWithError(const char* why) { error = why; }

  std::map<std::string, double> counters;
  std::string error;

 private:
  std::size_t rounds_;
};

namespace detail {

struct registered {
  std::string name;
  std::function<void(State&)> body;
  std::size_t rounds = 1;

  registered* UseManualTime() { return this; }
  registered* Iterations(int n) { return rounds = static_cast<std::size_t>(n), this; }
  [[nodiscard]] std::string full_name() const {
    return name + "/iterations:" + std::to_string(rounds) + "/manual_time";
  }
};

inline std::deque<registered> all;
inline std::vector<std::pair<std::string, std::string>> context;
inline std::string filter, out;
inline bool only_list = false;

inline std::string quoted(const std::string& text) {
  std::string with = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') with += '\\';
    with += c;
  }
  return with + '"';
}

}  // namespace detail

inline void AddCustomContext(const std::string& key, const std::string& value) {
  detail::context.emplace_back(key, value);
}

inline detail::registered* RegisterBenchmark(const char* name, std::function<void(State&)> body) {
  return &detail::all.emplace_back(detail::registered{name, std::move(body)});
}

inline void Initialize(int* argc, char** argv) {
  int kept = 1;
  for (int i = 1; i < *argc; ++i) {
    const std::string_view word = argv[i];
    const auto value_of = [&](std::string_view name, std::string& to) {
      if (!word.starts_with(name)) return false;
      to = word.substr(name.size());
      return true;
    };
    std::string ignored;
    if (word == "--benchmark_list_tests=true")
      detail::only_list = true;
    else if (!value_of("--benchmark_filter=", detail::filter) && !value_of("--benchmark_out=", detail::out) &&
             !value_of("--benchmark_out_format=", ignored))
      argv[kept++] = argv[i];
  }
  *argc = kept;
}

inline bool ReportUnrecognizedArguments(int argc, char** argv) {
  for (int i = 1; i < argc; ++i)
    std::fprintf(stderr,
                 "%s: unknown: %s\nknown: --rounds=N --threads=N,... --benchmark_filter=REGEX --benchmark_out=FILE "
                 "--benchmark_list_tests=true\n",
                 argv[0], argv[i]);
  return argc > 1;
}

inline void RunSpecifiedBenchmarks() {
  std::string results;
  const std::regex wanted{detail::filter};
  for (const detail::registered& each : detail::all) {
    if (!std::regex_search(each.full_name(), wanted)) continue;
    std::printf("%s", each.full_name().c_str());
    if (!detail::only_list) {
      State state{each.rounds};
      each.body(state);
      results += (results.empty() ? "" : ",") + std::string("\n    {\"name\": ") + detail::quoted(each.full_name());
      if (!state.error.empty())
        results += ", \"error_occurred\": true, \"error_message\": " + detail::quoted(state.error);
      for (const auto& [name, value] : state.counters) {
        char number[32];
        std::snprintf(number, sizeof number, "%.6g", value);
        results += ", " + detail::quoted(name) + ": " + number;
        std::printf(" %s=%s", name.c_str(), number);
      }
      results += "}";
      if (!state.error.empty()) std::printf(" %s", state.error.c_str());
    }
    std::printf("\n");
    std::fflush(stdout);
  }
  if (detail::out.empty() || detail::only_list) return;
  char date[32];
  const std::time_t now = std::time(nullptr);
  std::strftime(date, sizeof date, "%FT%T%z", std::localtime(&now));
  std::ofstream file{detail::out};
  file << "{\n  \"context\": {\"date\": " << detail::quoted(date)
       << ", \"num_cpus\": " << std::thread::hardware_concurrency();
  for (const auto& [key, value] : detail::context) file << ", " << detail::quoted(key) << ": " << detail::quoted(value);
  file << "},\n  \"benchmarks\": [" << results << "\n  ]\n}\n";
}

inline void Shutdown() {}

}  // namespace benchmark
