// SPDX-License-Identifier: MIT

// The sign of an add or a subtract as the processor's flags tell it, beside what the arithmetic says. On a compiler
// that needs no such operations there are none, and zoned_word's plain code is what the other tests run.

#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "hooked_sync.hpp"
#include "pinref/sync/flags_only.hpp"
#include "pinref/sync/std_sync.hpp"

namespace {

template <class Sync, class Atomic>
concept tells_the_sign = requires(Atomic& word, typename Atomic::value_type n, std::memory_order order) {
  Sync::add_negative(word, n, order);
  Sync::sub_negative(word, n, order);
  Sync::load_by_rmw(word, order);
};

template <class Sync, class Word>
void compare_with_arithmetic() {
  if constexpr (tells_the_sign<Sync, std::atomic<Word>>) {
    using number = std::make_signed_t<Word>;
    constexpr Word top = std::numeric_limits<Word>::max() / 2 + 1;
    const Word samples[] = {0,
                            1,
                            2,
                            1024,
                            Word(top / 16),
                            Word(top - 1),
                            top,
                            top + 1,
                            top + 2,
                            Word(-2),
                            Word(-1),
                            Word(top / 2 * 3),
                            Word{1} << (sizeof(Word) * 4)};
    for (const Word value : samples)
      for (const Word delta : samples) {
        CAPTURE(value);
        CAPTURE(delta);
        std::atomic<Word> word{value};
        CHECK(Sync::add_negative(word, delta, std::memory_order_acquire) ==
              (static_cast<number>(static_cast<Word>(value + delta)) < 0));
        CHECK(word.load() == static_cast<Word>(value + delta));
        CHECK(Sync::load_by_rmw(word, std::memory_order_acq_rel) == static_cast<Word>(value + delta));
        word = value;
        CHECK(Sync::sub_negative(word, delta, std::memory_order_release) ==
              (static_cast<number>(static_cast<Word>(value - delta)) < 0));
        CHECK(word.load() == static_cast<Word>(value - delta));
      }
    std::atomic<Word> word{0};
    CHECK_FALSE(Sync::add_negative(word, 1024, std::memory_order_relaxed));
    CHECK_FALSE(Sync::sub_negative(word, 1024, std::memory_order_relaxed));
    CHECK(Sync::sub_negative(word, 1, std::memory_order_relaxed));
  }
}

TEST_CASE("the flags of an add say what its result is") {
  compare_with_arithmetic<pinref::std_sync, std::uint32_t>();
  compare_with_arithmetic<pinref::std_sync, std::uint64_t>();
}

// Its atomics are derived from std::atomic, and it from std_sync: an operation that took them would not be seen.
static_assert(!tells_the_sign<support::hooked_sync, support::hooked_sync::atomic<std::uint64_t>>);
// A byte has no room beside other words in one locked instruction of this kind.
static_assert(!tells_the_sign<pinref::std_sync, std::atomic<std::uint8_t>>);

}  // namespace
