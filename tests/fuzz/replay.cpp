// SPDX-License-Identifier: MIT

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <vector>

#include "bodies.hpp"
#include "failure.hpp"

// The same bodies that tools/fuzz hunts with: first on the committed corpus, then on pseudo-random inputs that are the
// same in every run. A body aborts where library and model differ.

namespace {

using bytes = std::vector<std::uint8_t>;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true;
#elif defined(__has_feature)
constexpr bool sanitized = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
constexpr bool sanitized = false;
#endif

// A tenth under sanitizers, which make an operation ten times as slow and see what it touches every time.
constexpr std::uint64_t scaled(std::uint64_t operations) {
  return sanitized ? operations / 10 : operations;
}

class random_bytes {
 public:
  explicit random_bytes(std::uint64_t seed) : state_(seed) {}

  bytes next_input() {
    bytes made(16 + next() % 1000);
    for (std::uint8_t& byte : made) byte = static_cast<std::uint8_t>(next() >> 56);
    return made;
  }

 private:
  // splitmix64.
  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

  std::uint64_t state_;
};

std::size_t replay(const std::filesystem::path& corpus, void (*run)(std::span<const std::uint8_t>)) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(corpus)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  for (const auto& file : files) {
    std::ifstream stream(file, std::ios::binary);
    const bytes input{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
    run(input);
  }
  return files.size();
}

void replay_and_go_on(const char* body, std::uint64_t seed, std::uint64_t wanted,
                      void (*run)(std::span<const std::uint8_t>)) {
  fuzz::operations = 0;
  const std::size_t files = replay(std::filesystem::path(PINREF_FUZZ_CORPUS) / body, run);
  const auto replayed = fuzz::operations;
  CHECK(files != 0);
  CHECK(replayed > files);
  random_bytes random(seed);
  while (fuzz::operations < scaled(wanted)) run(random.next_input());
  std::printf("covered: %s: %zu files of the corpus, %llu operations; seed %llu, %llu operations in all\n", body, files,
              static_cast<unsigned long long>(replayed), static_cast<unsigned long long>(seed),
              static_cast<unsigned long long>(fuzz::operations));
}

}  // namespace

TEST_CASE("a reference word does what the model says, operation by operation") {
  replay_and_go_on("word", 20261120, 20'000'000, fuzz::run_word);
}

TEST_CASE("get, pin and release of many pages do what the model says, operation by operation") {
  replay_and_go_on("gup", 20261121, 5'000'000, fuzz::run_gup);
}
