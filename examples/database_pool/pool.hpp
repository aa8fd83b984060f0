// SPDX-License-Identifier: MIT
#pragma once

// What the clients of the pool do.
//
//   read      instantly, holding nothing; else by a reference, when nobody is at the content
//   update    while it is busy; dirty is set, busy cleared and the reference put by one exchange
//   refresh   another machine has written the block to the file: a device reads it into the valid frame
//   retire    closed to new takes, while whoever is there goes on; then the frame leaves the pool

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>

#include "frame.hpp"
#include "options.hpp"
#include "reader.hpp"
#include "residents.hpp"
#include "support/direct_file.hpp"
#include "support/engine.hpp"

namespace examples::database_pool {

class pool {
 public:
  /// Every block of the file has version 1.
  pool(residents& blocks, const direct_file& file, const mistakes& wrong)
      : residents_(blocks), file_(file), wrong_(wrong) {}

  /// Copies a block out. In the middle of an instant read `meanwhile()` is called.
  template <class Meanwhile>
  void read(std::uint32_t number, block& copy, Meanwhile meanwhile) {
    if (frame* const found = residents_.find(number)) {
      instant_read reading{*found, wrong_};
      if (reading.begin(number)) {
        constexpr std::size_t half = block_words / 2;
        const std::uint64_t* const from = words_of(std::as_const(residents_.frames.content(*found)));
        pinref::copy_out(words_of(copy), from, half);
        meanwhile();
        pinref::copy_out(words_of(copy) + half, from + half, half);
        if (reading.validate()) {
          ++residents_.stats.instant_reads;
          return;
        }
      }
    }
    const frame_ptr page = residents_.hold(number);
    const std::lock_guard content{*page};
    page->ref.set_host_bits(used);
    pinref::copy_out(words_of(copy), words_of(std::as_const(residents_.frames.content(*page))), block_words);
    ++residents_.stats.held_reads;
  }

  /// Gives a block its next version.
  void update(std::uint32_t number) {
    frame_ptr page = residents_.hold(number);
    page->lock();
    const auto next = std::make_unique<block>();
    fill(*next, number, residents_.versions.begin(number));
    page->stamp.write_begin();
    pinref::copy_in(words_of(residents_.frames.content(*page)), words_of(std::as_const(*next)), block_words);
    page->stamp.write_end();
    residents_.versions.end(number);
    ++residents_.stats.updates;
    (void)page.detach()->ref.put_and_change({.set = dirty | used, .clear = busy});
  }

  /// The block gets its next version in the file, and is read again where it is. False, and nothing done, if the pool
  /// has changed it.
  bool refresh(std::uint32_t number) {
    const frame_ptr page = residents_.hold(number);
    page->lock();
    if ((page->ref.host_bits() & dirty) != 0) {
      page->unlock();
      return false;
    }
    const auto next = std::make_unique<block>();
    fill(*next, number, residents_.versions.begin(number));
    file_.write({next.get(), 1}, number);
    residents_.start(direction::read, *page);
    ++residents_.stats.refreshes;
    return true;
  }

  /// Brings a block in, and does not wait for it: the transfer's pin alone keeps the frame.
  void prefetch(std::uint32_t number) { (void)residents_.hold(number); }

  /// Waits until nobody is at the content of a block.
  void settle(std::uint32_t number) {
    const frame_ptr page = residents_.hold(number);
    (void)page->ref.wait_until_clear(busy);
  }

  /// Takes a frame out of the pool, with its block written back. Null if it is in no use.
  [[nodiscard]] frame* retire(std::uint32_t index) {
    frame_ptr page = frame_ptr::get_page_unless_zero(residents_.frames[index]);
    if (!page) return nullptr;
    page->ref.set_host_bits(closed);
    for (;;) {
      // Takes that come by may still make this fail, but they do not stay: they look at the bit after the take.
      (void)page->ref.wait_until_idle(2);
      residents_.write_back(*page);
      if (residents_.take_away(*page, 2)) break;
    }
    frame* const gone = page.detach();  // its reference and the table's went with the exchange
    gone->ref.clear_host_bits(closed);
    residents_.has_gone();
    ++residents_.stats.retired;
    return gone;
  }
  /// Starts to write everything back that is dirty.
  void write_back_all() {
    for (std::uint32_t i = 0; i != residents_.frames.size(); ++i)
      if (const frame_ptr page = frame_ptr::get_page_unless_zero(residents_.frames[i])) residents_.write_back(*page);
  }

 private:
  residents& residents_;
  const direct_file& file_;
  const mistakes& wrong_;
};

}  // namespace examples::database_pool
