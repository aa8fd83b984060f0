// SPDX-License-Identifier: MIT
#pragma once

// What a body does when library and model disagree: it prints the input, which is the reproducer, and aborts.

#include <concepts>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <type_traits>

#include "pinref/gup/gup_result.hpp"
#include "pinref/word/call_site.hpp"

namespace fuzz {

/// The input that runs now, and the operations all inputs ran so far.
inline std::span<const std::uint8_t> current;
inline std::uint64_t operations = 0;
inline const char* operation = "start";

inline void begin_operation(const char* name) noexcept {
  operation = name;
  ++operations;
}

template <class T>
void print(const T& value) {
  if constexpr (std::same_as<T, pinref::gup_error>)
    std::fputs(pinref::to_string(value), stderr);
  else if constexpr (std::same_as<T, pinref::gup_result>)
    std::fprintf(stderr, "%zu %s", value.count, pinref::to_string(value.reason));
  else if constexpr (std::is_pointer_v<T>)
    std::fprintf(stderr, "%p", static_cast<const void*>(value));
  else
    std::fprintf(stderr, "%lld", static_cast<long long>(value));
}

[[noreturn]] inline void stop() {
  std::fputs("input:", stderr);
  for (const std::uint8_t byte : current) std::fprintf(stderr, " %02x", byte);
  std::fputs("\n", stderr);
  std::abort();
}

template <class Seen, class Wanted>
void expect(const Seen& seen, const Wanted& wanted, const char* what,
            pinref::call_site where = pinref::call_site::current()) {
  if (seen == wanted) [[likely]]
    return;
  std::fprintf(stderr, "%s:%u: after operation %llu, %s: %s is ", where.file, where.line,
               static_cast<unsigned long long>(operations), operation, what);
  print(seen);
  std::fputs(", the model says ", stderr);
  print(wanted);
  std::fputs("\n", stderr);
  stop();
}

}  // namespace fuzz
