// SPDX-License-Identifier: MIT
#pragma once

// Who writes to the heap all the time: the program, and two devices.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <stop_token>
#include <string>

#include "heap.hpp"
#include "pinref/pinref.hpp"
#include "support/block.hpp"
#include "support/device.hpp"
#include "support/held_pages.hpp"
#include "support/tally.hpp"

namespace examples::snapshot {

/// Some pages of the heap that a device may write to while they are held.
template <std::size_t N>
class window {
 public:
  window(heap& of, std::size_t first, const source& from, keep how)
      : heap_(of), first_(first), device_(from), how_(how) {}

  void hold() {
    if (!pages_.take(heap_, heap::address_of(first_), pinref::foll::none, how_))
      std::abort();  // the heap has all pages
  }
  void release() noexcept { pages_.reset(); }
  void deliver(std::uint32_t version) {
    for (std::size_t i = 0; i != N; ++i) device_.start(number_of(i), version, pages_[i].content->device);
    device_.finish();
    ++deliveries_;
  }
  /// Looks at what was delivered as the program does: in the heap. Empty if it is there.
  [[nodiscard]] std::string find_lost(std::uint32_t version) const {
    std::string fault;
    for (std::size_t i = 0; i != N && fault.empty(); ++i)
      fault = find_fault(heap_.page_of(first_ + i).content->device, number_of(i), version);
    return fault;
  }
  [[nodiscard]] std::uint64_t deliveries() const noexcept { return deliveries_; }
  [[nodiscard]] const char* engine_name() const noexcept { return device_.engine_name(); }

 private:
  [[nodiscard]] std::uint32_t number_of(std::size_t i) const noexcept { return static_cast<std::uint32_t>(first_ + i); }

  heap& heap_;
  std::size_t first_;
  device device_;
  keep how_;
  held_pages<heap, N> pages_;
  std::uint64_t deliveries_ = 0;
};

/// Holds its pages from beginning to end, as registered buffers are, and writes to them all the time.
class registered_device {
 public:
  static constexpr std::size_t nr_pages = 8;

  registered_device(heap& of, const source& from, keep how) : pages_(of, 0, from, how) { pages_.hold(); }

  void run(const std::stop_token& stop) {
    for (std::uint32_t i = 0; !stop.stop_requested(); ++i) pages_.deliver(1 + i % 2);
  }
  /// One more delivery, when `run` has stopped: a version that was not there before. Then it lets go. Empty if the
  /// delivery arrived.
  [[nodiscard]] std::string finish() {
    pages_.deliver(3);
    std::string lost = pages_.find_lost(3);
    pages_.release();
    return lost;
  }
  [[nodiscard]] std::uint64_t deliveries() const noexcept { return pages_.deliveries(); }
  [[nodiscard]] const char* engine_name() const noexcept { return pages_.engine_name(); }

 private:
  window<nr_pages> pages_;
};

/// Holds its pages for one delivery at a time, while snapshots begin and end.
class passing_device {
 public:
  static constexpr std::size_t nr_pages = 4;

  passing_device(heap& of, const source& from, keep how) : pages_(of, registered_device::nr_pages, from, how) {}

  void run(const std::stop_token& stop) {
    for (std::uint32_t i = 0; !stop.stop_requested() && fault_.empty(); ++i) {
      pages_.hold();
      pages_.deliver(1 + i % 2);
      fault_ = pages_.find_lost(1 + i % 2);
      pages_.release();
    }
  }
  /// The first delivery that did not arrive; empty if all did.
  [[nodiscard]] const std::string& fault() const noexcept { return fault_; }
  [[nodiscard]] std::uint64_t deliveries() const noexcept { return pages_.deliveries(); }

 private:
  window<nr_pages> pages_;
  std::string fault_;
};

/// Writes version after version: of each all pages, in order.
class program {
 public:
  explicit program(heap& of) : heap_(of) { write_all(); }

  void run(const std::stop_token& stop) {
    while (!stop.stop_requested()) write_all();
  }
  /// Versions written to all pages.
  [[nodiscard]] const tally& versions() const noexcept { return versions_; }

 private:
  void write_all() {
    for (std::size_t i = 0; i != heap_.nr_pages(); ++i) heap_.write(i, versions_.value() + 1);
    versions_.advance();
  }

  heap& heap_;
  tally versions_;
};

}  // namespace examples::snapshot
