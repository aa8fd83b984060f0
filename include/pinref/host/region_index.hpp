// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// region_index: ranges that do not overlap, in order, for readers without a lock and one writer at a time.
///
/// There are two copies and a version that says which is read. The writer fills the other one, and turns. A reader that
/// finds another version after its search than before searches again: the writer may have begun to fill its copy.
///
/// When not to use it: for ranges that change more often than they are looked up. Each change copies all of them.
///
/// Example:
///
///     pinref::detail::region_index<1024, pinref::std_sync> index;
///     index.change([](std::uint32_t) noexcept { return false; }, {address, address + length - 1, 7});
///     if (index.find(address + 10) == 7) reuse();                // or the last one that begins before it
///
/// Errors: none.
/// Memory order: what a reader finds was in the index at one instant during the call, and what came before its change
/// is seen.
/// Progress: readers are lock-free: one searches again only if the index has changed.
/// Source: Ramalhete and Correia, "Left-Right"; Lamport, "Concurrent Reading and Writing".

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "pinref/fwd.hpp"
#include "pinref/sync/paths.hpp"

namespace pinref::inline v0_1::detail {

/// At most `Max` ranges, each with a number below `Max` of its own.
template <std::size_t Max, class Sync>
class region_index {
 public:
  static constexpr std::uint32_t none = UINT32_MAX;

  struct entry {
    std::uintptr_t first = 0, last = 0;
    std::uint32_t number = none;
  };

  /// The number of the last range that begins at or before an address, or none.
  [[nodiscard]] PINREF_FAST_PATH std::uint32_t find(std::uintptr_t address) const noexcept {
    for (;;) {
      // (K1) pairs with (K2): acquire, so that what came before the change that made this version is seen.
      const std::uint32_t seen = version_.load(std::memory_order_acquire);
      const copy& in = copies_[seen % 2];
      const std::uint32_t at = in.search(address);
      const std::uint32_t found = at == none ? none : in.number(at);
      if (version_.load(std::memory_order_relaxed) == seen) [[likely]]
        return found;
    }
  }

  /// Calls `visit(number)` for every range that has a byte in [first, last], and perhaps for others, and perhaps twice.
  template <class Visit>
  void for_each_in(std::uintptr_t first, std::uintptr_t last, Visit visit) const noexcept {
    for (;;) {
      // (K5) pairs with (K2): acquire as (K1).
      const std::uint32_t seen = version_.load(std::memory_order_acquire);
      const copy& in = copies_[seen % 2];
      const std::uint32_t before = in.search(first);
      for (std::uint32_t at = before == none ? 0 : before; at < in.size() && in.first(at) <= last; ++at)
        if (in.last(at) >= first) visit(in.number(at));
      if (version_.load(std::memory_order_relaxed) == seen) return;
    }
  }

  /// Takes every range out for which `leaves(number)`, and puts one in unless its number is none; it must not overlap
  /// what stays. One writer at a time.
  template <class Leaves>
  void change(Leaves leaves, entry added = {}) noexcept {
    const std::uint32_t version = version_.load(std::memory_order_relaxed);
    const copy& from = copies_[version % 2];
    copy& to = copies_[(version + 1) % 2];
    std::uint32_t n = 0;
    for (std::uint32_t at = 0; at != from.size(); ++at) {
      const entry each{from.first(at), from.last(at), from.number(at)};
      if (leaves(each.number)) continue;
      if (added.number != none && added.first < each.first) {
        to.put(n++, added);
        added.number = none;
      }
      to.put(n++, each);
    }
    if (added.number != none) to.put(n++, added);
    to.resize(n);
    // (K2) pairs with (K1), (K5): release, so that a reader by this version sees the copy, and the regions it names.
    version_.store(version + 1, std::memory_order_release);
  }

 private:
  template <class T>
  using atomic = typename Sync::template atomic<T>;

  struct copy {
    // A reader that reads what a later change writes sees afterwards that the version has moved on.
    atomic<std::uint32_t> size_{0};
    atomic<std::uintptr_t> first_[Max] = {};
    atomic<std::uintptr_t> last_[Max] = {};
    atomic<std::uint32_t> number_[Max] = {};

    template <class Atomic>
    static void write(Atomic& what, typename Atomic::value_type value) noexcept {
      // (K3) pairs with (K4): release, so that a reader of it sees the version of the change before.
      what.store(value, std::memory_order_release);
    }
    template <class Atomic>
    [[nodiscard]] static auto read(const Atomic& what) noexcept {
      // (K4) pairs with (K3): acquire, so that the version looked at next is not older than what was read.
      return what.load(std::memory_order_acquire);
    }

    void put(std::uint32_t at, const entry& what) noexcept {
      copy::write(first_[at], what.first);
      copy::write(last_[at], what.last);
      copy::write(number_[at], what.number);
    }
    void resize(std::uint32_t n) noexcept { copy::write(size_, n); }

    [[nodiscard]] std::uint32_t size() const noexcept { return copy::read(size_); }
    [[nodiscard]] std::uintptr_t first(std::uint32_t at) const noexcept { return copy::read(first_[at]); }
    [[nodiscard]] std::uintptr_t last(std::uint32_t at) const noexcept { return copy::read(last_[at]); }
    [[nodiscard]] std::uint32_t number(std::uint32_t at) const noexcept { return copy::read(number_[at]); }

    /// The place of the last one that begins at or before an address, or none.
    [[nodiscard]] PINREF_FAST_PATH std::uint32_t search(std::uintptr_t address) const noexcept {
      std::uint32_t n = size();
      if (n == 0) return none;
      std::uint32_t base = 0;
      // No branch depends on what is compared.
      for (; n > 1; n -= n / 2) base = first(base + n / 2) <= address ? base + n / 2 : base;
      return first(base) <= address ? base : none;
    }
  };

  atomic<std::uint32_t> version_{0};
  copy copies_[2];
};

}  // namespace pinref::inline v0_1::detail
