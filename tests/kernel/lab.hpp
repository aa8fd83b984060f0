// SPDX-License-Identifier: MIT
#pragma once

// Everything a row needs, and the comparison itself.

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "facilities.hpp"
#include "mirror.hpp"
#include "model.hpp"
#include "pin_counters.hpp"
#include "report.hpp"

namespace kernel {

inline constexpr const char* no_huge_page = "the kernel gives no page of 2 MiB";

class lab {
 public:
  report out;
  pin_counters counters;
  std::array<ring, 3> rings;
  direct_file file;
  remote peer;
  page_mover mover;
  mirror memory;
  std::array<buffer_table<mirror::space_type>, 3> tables;
  std::string rings_lacking;
  bool may_lock_much = false;
  std::string huge_lacking;
  bool merges = true;  // see buffer_table

  lab();

  // Does `kernel` on the kernel and `model` on pinref: outcomes and pins taken and released must be the same. `undo`
  // undoes `kernel`, so that it can be done again where the count was disturbed, or returns false if that is
  // impossible.
  template <class Kernel, class Model, class Undo>
  bool compare(std::string_view what, Kernel kernel, Model model, Undo undo) {
    const pinref::pin_totals before = all_pins.totals();
    const outcome wanted = model();
    const pinref::pin_totals after = all_pins.totals();
    return compare_counts(what, kernel, wanted, since(before, after), undo);
  }
  template <class Kernel, class Model>
  bool compare(std::string_view what, Kernel kernel, Model model) {
    return compare(what, kernel, model, nothing_to_undo);
  }

  // As compare, for what pinref is known to count or answer otherwise: `wanted` and `pins` are the kernel's.
  template <class Kernel, class Undo>
  bool compare_counts(std::string_view what, Kernel kernel, const outcome& wanted, const pinref::pin_totals& pins,
                      Undo undo) {
    if (!counters.lacking().empty()) return out.same(what, kernel(), wanted);
    outcome got;
    const std::optional<pinref::pin_totals> counted = count(kernel, undo, got, pins);
    bool equal = out.same(what, got, wanted);
    if (counted)
      equal = out.same(std::string{what} + ", pins", *counted, pins) && equal;
    else
      out.undecided();
    return equal;
  }

  // The pins `kernel` takes and releases, or nothing if that cannot be told. `expected` only says when to stop.
  //
  // The counters are those of all processes, and they only grow. What others do meanwhile adds to both differences and
  // never takes away from them: every measurement is an upper bound, and so is the smallest of several, which is exact
  // as soon as one window was undisturbed. So less than expected, or exactly what was expected, is certain at once.
  // More than expected is repeated. It is called the operation's own only after ten times in which an idle window,
  // twice as long, saw nothing move. Where no window is idle nothing is decided: the machine's noise fails no test.
  template <class Kernel, class Undo>
  std::optional<pinref::pin_totals> count(Kernel kernel, Undo undo, outcome& got, const pinref::pin_totals& expected) {
    using clock = std::chrono::steady_clock;
    pinref::pin_totals least{~std::uint64_t{0}, ~std::uint64_t{0}};
    const auto first = clock::now();
    for (unsigned quiet = 0;;) {
      const auto begin = clock::now();
      const pinref::pin_totals before = counters.read();
      got = kernel();
      pinref::pin_totals after = counters.read();
      const auto length = clock::now() - begin;
      // The kernel wakes the caller of an O_DIRECT read a moment before it releases the pages, and those of a dead
      // process go in its own time.
      const bool enough = since(before, after).acquired >= expected.acquired;
      for (unsigned waits = 0; enough && since(before, after).released < expected.released && waits != 200; ++waits) {
        std::this_thread::sleep_for(std::chrono::milliseconds{waits < 20 ? 1 : 5});
        after = counters.read();
      }
      const pinref::pin_totals seen = since(before, after);
      least = {std::min(least.acquired, seen.acquired), std::min(least.released, seen.released)};
      if (least == expected || least.acquired < expected.acquired || least.released < expected.released) return least;
      std::this_thread::sleep_for(2 * length);
      if (counters.read() == after && ++quiet == 10) return least;
      const auto now = clock::now();
      patience_ -= now - begin;
      if (now - first > std::chrono::milliseconds{400} || patience_.count() < 0 || !undo()) return std::nullopt;
    }
  }

  static bool nothing_to_undo() { return true; }
  static bool no_undo() { return false; }
  // Undoes a registration by the kernel alone, whether it succeeded or not.
  bool forget(std::size_t slot = 0) {
    (void)rings[slot].unregister();
    return true;
  }

  // Registers on both sides, in one slot.
  bool register_buffers(std::string_view what, std::span<const iovec> buffers, std::size_t slot = 0) {
    registration& now = registrations_[slot];
    now = {{buffers.begin(), buffers.end()}, memory.changes()};
    return compare(
        what,
        [&] {
          const outcome done = rings[slot].register_buffers(now.buffers);
          now.live = done.error == 0;
          return done;
        },
        [&] { return tables[slot].register_buffers(memory.space(), now.buffers, merges); },
        [&] { return forget(slot); });
  }
  bool unregister(std::string_view what, std::size_t slot = 0) {
    registration& old = registrations_[slot];
    old.live = false;
    return compare(
        what, [&] { return rings[slot].unregister(); }, [&] { return tables[slot].unregister(); },
        // The same pages are there to be pinned again unless the memory was changed under them.
        [&] { return old.changes == memory.changes() && rings[slot].register_buffers(old.buffers).error == 0; });
  }
  [[nodiscard]] bool registered(std::size_t slot) const { return registrations_[slot].live; }

  bool direct_read(std::string_view what, std::uintptr_t address, std::size_t bytes) {
    return compare(
        what, [&] { return file.read(address, bytes); },
        [&] { return direct_access(memory.space(), address, bytes, true); });
  }
  bool direct_write(std::string_view what, std::uintptr_t address, std::size_t bytes) {
    return compare(
        what, [&] { return file.write(address, bytes); },
        [&] { return direct_access(memory.space(), address, bytes, false); });
  }
  bool remote_read(std::string_view what, std::uintptr_t address, std::size_t bytes) {
    return compare(
        what, [&] { return peer.read(address, bytes); },
        [&] { return remote_access(memory.space(), address, bytes, false); });
  }
  bool remote_write(std::string_view what, std::uintptr_t address, std::size_t bytes) {
    return compare(
        what, [&] { return peer.write(address, bytes); },
        [&] { return remote_access(memory.space(), address, bytes, true); });
  }
  bool same_pinned(std::string_view what, std::uintptr_t address, std::size_t size = page_size) {
    mirror::page* const page = memory.page_at(address);
    return out.same(what, mover.maybe_pinned(address, size),
                    page != nullptr ? maybe_pinned(*page) : outcome{ENOENT, 0});
  }

  static pinref::pin_totals since(const pinref::pin_totals& before, const pinref::pin_totals& after) {
    return {after.acquired - before.acquired, after.released - before.released};
  }
  static iovec buffer(std::uintptr_t address, std::size_t bytes) { return {reinterpret_cast<void*>(address), bytes}; }

 private:
  struct registration {
    std::vector<iovec> buffers;
    std::uint64_t changes = 0;
    bool live = false;
  };

  std::array<registration, 3> registrations_;
  // What may be spent on disturbed counts, all together.
  std::chrono::steady_clock::duration patience_ = std::chrono::seconds{3};
};

void run_rows(lab& all);
void run_random(lab& all, std::uint64_t seed, unsigned operations);

}  // namespace kernel
