// SPDX-License-Identifier: MIT
#pragma once

// A heap whose snapshots take an instant, as fork does with a process: pages are shared, and copied at the next write.
// Except those a device is writing to, which are copied at once, for the snapshot: the heap keeps its page.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <utility>
#include <vector>

#include "heap_page.hpp"
#include "pinref/pinref.hpp"
#include "support/block.hpp"
#include "support/device.hpp"

namespace examples::snapshot {

/// What snapshots made of pages.
struct fork_counts {
  std::uint64_t shared = 0;
  std::uint64_t copied_pinned = 0;    // at the snapshot
  std::uint64_t copied_at_write = 0;  // later, by the parent
};

class heap {
 public:
  heap(frames& from, std::size_t nr_pages) : frames_(from), entries_(nr_pages) {
    for (entry& each : entries_) each.map(must_have(frames_.allocate()), true);
  }
  heap(const heap&) = delete;
  heap& operator=(const heap&) = delete;

  [[nodiscard]] std::size_t nr_pages() const noexcept { return entries_.size(); }
  [[nodiscard]] static std::uintptr_t address_of(std::size_t index) noexcept { return index * page_size; }
  /// The page that the heap has here now.
  [[nodiscard]] heap_page& page_of(std::size_t index) const noexcept { return *entries_[index].page(); }
  [[nodiscard]] const fork_counts& counts() const noexcept { return counts_; }

  /// The program writes its half of a page.
  void write(std::size_t index, std::uint64_t version) {
    const std::lock_guard guard{mutex_};
    if (!make_writable(entries_[index])) throw std::runtime_error(out_of_pages);
    fill(page_of(index).content->program, index, version);
  }

  /// The heap as it is at one instant, between two writes of the program.
  [[nodiscard]] std::unique_ptr<heap> fork() {
    const std::lock_guard guard{mutex_};
    std::unique_ptr<heap> child{new heap(frames_)};
    child->entries_ = std::vector<entry>(entries_.size());
    const forking now{seq_};
    for (std::size_t i = 0; i != entries_.size(); ++i) {
      heap_page& mine = page_of(i);
      page_ptr childs;
      const pinref::fork_result result =
          pinref::fork_page(mine, entries_[i], some_pins, [&](heap_page& pinned) { childs = copy_of(pinned); });
      if (result == pinref::fork_result::shared) childs = page_ptr::get_page(mine);
      ++(result == pinref::fork_result::shared ? counts_.shared : counts_.copied_pinned);
      child->entries_[i].map(must_have(std::move(childs)), false);
    }
    return child;
  }

  // The address space.

  using page = heap_page;
  static constexpr std::size_t page_size = sizeof(halves);

  [[nodiscard]] bool contains(std::uintptr_t first, std::uintptr_t last) const noexcept {
    return first <= last && last / page_size < entries_.size();
  }
  [[nodiscard]] pinref::mapping<page> lookup(std::uintptr_t address, pinref::foll flags) const noexcept {
    return entries_[address / page_size].mapping(flags);
  }
  [[nodiscard]] bool recheck(std::uintptr_t address, const pinref::mapping<page>& seen) const noexcept {
    return entries_[address / page_size].unchanged_since(seen);
  }
  template <class Use>
  [[nodiscard]] pinref::gup_error fault_in(std::uintptr_t address, pinref::foll flags, Use use) noexcept {
    const std::lock_guard guard{mutex_};
    entry& at = entries_[address / page_size];
    if (has(flags, pinref::foll::write) && !make_writable(at)) return pinref::gup_error::no_memory;
    return use(at.mapping(flags));
  }
  [[nodiscard]] pinref::write_protect_seq<>& fork_seq() noexcept { return seq_; }

 private:
  static constexpr const char* out_of_pages = "out of pages";
  static constexpr std::size_t some_pins = 1;  // there are always devices here, so each page is asked

  /// A page, of which it has a reference, and in the lowest bit whether it may be written to.
  class entry {
   public:
    entry() = default;
    entry(const entry&) = delete;
    entry& operator=(const entry&) = delete;
    ~entry() { map({}, false); }

    [[nodiscard]] heap_page* page() const noexcept { return page_in(word_.load(std::memory_order_acquire)); }
    /// The page that was here before is let go.
    void map(page_ptr to, bool may_write) noexcept {
      const auto word = reinterpret_cast<std::uintptr_t>(to.detach()) | (may_write ? write_bit : 0);
      const std::uintptr_t old = word_.exchange(word, std::memory_order_acq_rel);
      if (heap_page* const was = page_in(old)) page_ptr::adopt(*was).reset();
    }
    [[nodiscard]] pinref::mapping<heap_page> mapping(pinref::foll flags) const noexcept {
      const std::uintptr_t word = word_.load(std::memory_order_acquire);
      if (has(flags, pinref::foll::write) && (word & write_bit) == 0) return {};
      return {page_in(word), word};
    }
    [[nodiscard]] bool unchanged_since(const pinref::mapping<heap_page>& seen) const noexcept {
      return word_.load(std::memory_order_relaxed) == seen.token;
    }

    // As fork_page wants it.
    [[nodiscard]] bool writable() const noexcept { return (word_.load(std::memory_order_relaxed) & write_bit) != 0; }
    void write_protect() noexcept { word_.fetch_and(~write_bit, std::memory_order_relaxed); }
    void make_writable() noexcept { word_.fetch_or(write_bit, std::memory_order_relaxed); }

   private:
    static constexpr std::uintptr_t write_bit = 1;
    [[nodiscard]] static heap_page* page_in(std::uintptr_t word) noexcept {
      return reinterpret_cast<heap_page*>(word & ~write_bit);
    }

    std::atomic<std::uintptr_t> word_{0};
  };

  /// Keeps lockless pins out while it is there.
  struct forking {
    explicit forking(pinref::write_protect_seq<>& of) noexcept : seq(of) { seq.write_begin(); }
    forking(const forking&) = delete;
    forking& operator=(const forking&) = delete;
    ~forking() { seq.write_end(); }
    pinref::write_protect_seq<>& seq;
  };

  explicit heap(frames& from) : frames_(from) {}

  [[nodiscard]] static page_ptr must_have(page_ptr page) {
    if (!page) throw std::runtime_error(out_of_pages);
    return page;
  }

  // A page that is shared, or was, is copied for this heap. One that is its own stays, whoever else holds it. False if
  // there is no page for the copy.
  [[nodiscard]] bool make_writable(entry& at) noexcept {
    heap_page& old = *at.page();
    if (pinref::can_reuse<pinref::reuse_rule::exclusive_mark>(old)) {
      at.make_writable();
      return true;
    }
    page_ptr copy = copy_of(old);
    if (!copy) return false;
    at.map(std::move(copy), true);
    ++counts_.copied_at_write;
    return true;
  }

  [[nodiscard]] page_ptr copy_of(const heap_page& from) noexcept {
    page_ptr copy = frames_.allocate();
    if (copy) {
      copy_under_device(copy->content->program, from.content->program);
      copy_under_device(copy->content->device, from.content->device);
    }
    return copy;
  }

  frames& frames_;
  std::mutex mutex_;
  std::vector<entry> entries_;
  pinref::write_protect_seq<> seq_;
  fork_counts counts_;
};
static_assert(pinref::address_space<heap> && pinref::forking_space<heap>);

}  // namespace examples::snapshot
