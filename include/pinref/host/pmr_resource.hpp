// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// deferring_resource: a std::pmr::memory_resource that keeps what was deallocated until its last holder lets go.
///
/// Each allocation has a descriptor with a reference word. The container's claim is its first reference, a transfer
/// pins it. If the container goes during a transfer, the memory stays where it is, and goes to the upstream resource
/// when the last pin has gone.
///
/// The last release only notes that it was the last: a release calls neither upstream nor a lock, so it may happen in a
/// completion handler. Upstream is called by the threads that allocate, deallocate or drain, one at a time. Descriptors
/// stand in memory of their own, never in what a device writes to. They are used again but never given back, so they
/// are type-stable.
///
/// When not to use it: below a pool, which reuses what it has been given back without asking here. This stands above
/// pools, next to the containers. Nor for small objects that no device touches: an allocation takes a lock and a
/// search.
///
/// Example:
///
///     std::pmr::unsynchronized_pool_resource pool;
///     pinref::deferring_resource memory{&pool};
///     std::pmr::vector<std::byte> buffer(65536, &memory);
///     const auto pin = pinref::page_pin<pinref::deferring_resource::allocation>::try_pin(*memory.find(buffer.data()));
///     if (!pin) return give_up(to_string(pin.reason()));
///     start_dma();                                               // the vector may go before the completion comes
///
/// Not in host.hpp: it brings `<memory_resource>`, and throws.
///
/// Errors: allocate passes on what upstream or books throw, and has then changed nothing. Nothing else fails.
/// Memory order: what a holder did with the memory happens before upstream gets it back.
/// Progress: releases are lock-free; everything else takes a lock and calls upstream.
/// Source: pinref's own; std::pmr::synchronized_pool_resource for its shape.

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory_resource>
#include <mutex>
#include <utility>

#include "pinref/fwd.hpp"
#include "pinref/host/sleeping_lock.hpp"
#include "pinref/page/page.hpp"
#include "pinref/parts/deferred_list.hpp"
#include "pinref/ref/page_ref.hpp"

namespace pinref::inline v0_1 {

/// `Ref` is the reference word of every allocation: any layout, any Sync. Every member may be called by any thread.
template <class Ref>
class basic_deferring_resource final : public std::pmr::memory_resource {
 public:
  /// The descriptor of one allocation, and a host_page: everything that takes pages takes it.
  class allocation {
   public:
    /// Dead, and without memory.
    explicit allocation(basic_deferring_resource& home) noexcept : home_(home) {}

    /// Its reference word.
    [[nodiscard]] Ref& ref() noexcept { return ref_; }
    /// What was allocated. Precondition: the caller holds it.
    [[nodiscard]] std::byte* data() const noexcept { return memory_; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

    /// The last release calls it, wherever that happens. Lock-free.
    void free_page() noexcept { home_.dead_.push(*this); }

   private:
    friend class basic_deferring_resource;

    Ref ref_;
    list_link link_;
    basic_deferring_resource& home_;
    std::byte* memory_ = nullptr;
    std::size_t size_ = 0;
    std::size_t alignment_ = 0;
  };

  /// Takes memory from `upstream`, and descriptors from `books`. Both have to outlive it.
  explicit basic_deferring_resource(std::pmr::memory_resource* upstream = std::pmr::get_default_resource(),
                                    std::pmr::memory_resource* books = std::pmr::new_delete_resource()) noexcept
      : upstream_(upstream), index_(books), spare_(books) {}
  basic_deferring_resource(const basic_deferring_resource&) = delete;
  basic_deferring_resource& operator=(const basic_deferring_resource&) = delete;
  /// Precondition: nobody holds an allocation any more, and no thread is inside a release.
  ~basic_deferring_resource() override { drain(); }

  /// The allocation that this address is in, or null. A caller that owns or holds the allocation may use it at once.
  /// Any other takes it first and then asks again: the address may have become another allocation's meanwhile. May
  /// block.
  [[nodiscard]] allocation* find(const void* address) noexcept {
    const auto at = reinterpret_cast<std::uintptr_t>(address);
    const std::lock_guard guard{lock_};
    auto next = index_.upper_bound(at);
    if (next == index_.begin()) return nullptr;
    const auto& [start, found] = *--next;
    return at - start < found.size_ ? &next->second : nullptr;
  }

  /// Gives upstream what nobody holds any more. So do allocate and deallocate: this is for programs that call neither
  /// for long. May block.
  void drain() noexcept {
    const std::lock_guard guard{lock_};
    give_back();
  }

  /// The allocations that upstream has not got back, at some instant: those of containers, those that are held longer,
  /// and those that wait to be drained. May block.
  [[nodiscard]] std::size_t nr_allocations() const noexcept {
    const std::lock_guard guard{lock_};
    return index_.size();
  }

 private:
  using index = std::pmr::map<std::uintptr_t, allocation>;

  // Throws what upstream and books throw, and has changed nothing then.
  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    const std::lock_guard guard{lock_};
    give_back();
    // Before upstream is asked, so that nothing has to be undone.
    if (spare_.empty()) spare_.try_emplace(0, *this);
    // An allocation of nothing has an address too.
    const std::size_t size = bytes == 0 ? 1 : bytes;
    void* const memory = upstream_->allocate(size, alignment);

    auto node = spare_.extract(spare_.begin());
    node.key() = reinterpret_cast<std::uintptr_t>(memory);
    allocation& made = node.mapped();
    made.memory_ = static_cast<std::byte*>(memory);
    made.size_ = size;
    made.alignment_ = alignment;
    made.ref_.init();
    index_.insert(std::move(node));
    return memory;
  }

  // A second deallocate of the same finds a dead word, or nothing; or takes from the pins, so that the memory is lost
  // instead of being reused under a device.
  void do_deallocate(void* memory, std::size_t, std::size_t) noexcept override {
    const std::lock_guard guard{lock_};
    const auto found = index_.find(reinterpret_cast<std::uintptr_t>(memory));
    if (found != index_.end()) (void)pinref::put_page(found->second);
    give_back();
  }

  [[nodiscard]] bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override {
    return this == &other;
  }

  void give_back() noexcept {
    (void)dead_.drain([this](allocation& gone) noexcept {
      upstream_->deallocate(gone.memory_, gone.size_, gone.alignment_);
      auto node = index_.extract(reinterpret_cast<std::uintptr_t>(gone.memory_));
      node.key() = reinterpret_cast<std::uintptr_t>(&gone);
      spare_.insert(std::move(node));
    });
  }

  deferred_list<allocation, &allocation::link_, list_links::addresses, typename Ref::sync> dead_;
  mutable detail::sleeping_lock<typename Ref::sync> lock_;
  std::pmr::memory_resource* upstream_;
  index index_;  // by the address of what was allocated
  index spare_;  // by their own
};

/// With the default word.
using deferring_resource = basic_deferring_resource<page_ref<>>;

}  // namespace pinref::inline v0_1
