// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// flags_only: an atomic add that tells the sign of its result alone, and a load that is a read-modify-write.
///
/// On x86 the flags of a locked add answer "is it negative now?". g++ uses them. clang fetches the old value
/// (`lock xadd`) and adds once more, which takes longer on pages that are not in the cache; and it compiles a
/// `fetch_add(0)` into a full fence and a load. So for clang on x86 there is inline assembly here, as operations of
/// `std_sync`:
///
/// - `add_negative(word, delta, order)`, `sub_negative(word, delta, order)`: adds or subtracts; is the result negative?
/// - `load_by_rmw(word, order)`: the word, by a read-modify-write that changes nothing.
///
/// A Sync need not have them; without them fetch_add and fetch_sub are called. These take a std::atomic and nothing
/// derived from it, so a Sync that inherits from std_sync and brings atomics of its own still sees every access. Under
/// a sanitizer, which does not look into assembly, and with any other compiler flags_only is empty.
///
/// When not to use it: where the value is needed.
///
/// Example:
///
///     template <class Sync>
///     bool takes_too_many(typename Sync::template atomic<std::int64_t>& word, std::int64_t delta) {
///       constexpr auto order = std::memory_order_acquire;
///       if constexpr (requires { Sync::sub_negative(word, delta, order); })
///         return Sync::sub_negative(word, delta, order);
///       else
///         return word.fetch_sub(delta, order) - delta < 0;
///     }
///     if (takes_too_many<pinref::std_sync>(credits, 1)) give_up("no credit left");
///
/// Errors: none.
/// Memory order: as `order` says, or stronger.
/// Progress: wait-free.
/// Source: Linux atomic_add_negative().

#include <atomic>
#include <concepts>

#include "pinref/sync/paths.hpp"

#if defined(__clang__) && defined(__GCC_ASM_FLAG_OUTPUTS__) && (defined(__x86_64__) || defined(__i386__))
#if !__has_feature(address_sanitizer) && !__has_feature(hwaddress_sanitizer) && !__has_feature(memory_sanitizer) && \
    !__has_feature(thread_sanitizer)
#define PINREF_FLAG_OUTPUTS
#endif
#endif

namespace pinref::inline v0_1 {

namespace detail {

#if defined(PINREF_FLAG_OUTPUTS)

/// A std::atomic of a width that one instruction adds to.
template <class Atomic>
concept machine_word =
    (sizeof(Atomic) == 4 || sizeof(Atomic) == sizeof(void*)) && sizeof(Atomic) == sizeof(typename Atomic::value_type) &&
    std::integral<typename Atomic::value_type>&& std::same_as<Atomic, std::atomic<typename Atomic::value_type>>;

/// Every locked instruction is a full barrier to the processor, and the clobbered memory makes it one to the compiler.
struct flags_only {
  template <machine_word Atomic>
  [[nodiscard]] PINREF_FAST_PATH static bool add_negative(Atomic& word, typename Atomic::value_type delta,
                                                          std::memory_order) noexcept {
    bool negative;
    if constexpr (sizeof delta == 8)
      asm volatile("lock {addq %2, %0|add qword ptr %0, %2}" : "+m"(word), "=@ccs"(negative) : "er"(delta) : "memory");
    else
      asm volatile("lock {addl %2, %0|add dword ptr %0, %2}" : "+m"(word), "=@ccs"(negative) : "ir"(delta) : "memory");
    return negative;
  }

  template <machine_word Atomic>
  [[nodiscard]] PINREF_FAST_PATH static bool sub_negative(Atomic& word, typename Atomic::value_type delta,
                                                          std::memory_order) noexcept {
    bool negative;
    if constexpr (sizeof delta == 8)
      asm volatile("lock {subq %2, %0|sub qword ptr %0, %2}" : "+m"(word), "=@ccs"(negative) : "er"(delta) : "memory");
    else
      asm volatile("lock {subl %2, %0|sub dword ptr %0, %2}" : "+m"(word), "=@ccs"(negative) : "ir"(delta) : "memory");
    return negative;
  }

  template <machine_word Atomic>
  [[nodiscard]] PINREF_FAST_PATH static auto load_by_rmw(Atomic& word, std::memory_order order) noexcept {
    // A zero that the compiler cannot see.
    typename Atomic::value_type nothing = 0;
    asm("" : "+r"(nothing));
    return word.fetch_add(nothing, order);
  }
};

#undef PINREF_FLAG_OUTPUTS
#else

struct flags_only {};

#endif

}  // namespace detail

}  // namespace pinref::inline v0_1
