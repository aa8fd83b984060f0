// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// segment: pages, and a ledger of who holds them, in memory that processes share.
///
/// It is a memfd that cannot be cut short, or any mapping that the host vouches for. Inside stand only offsets. A
/// forked child does not have the mapping, and so is no member: it attaches for itself, and joins.
///
/// All processes that may write to a segment trust each other. Against accidents, such as another version or a torn
/// file, it is guarded when it is attached; against malice it is not.
///
/// When not to use it: in one process; or across a boundary of trust.
///
/// Example:
///
///     pinref::segment pool;
///     const auto error = pool.create({.places = 16, .slots = 256, .pages = 1024});
///     if (error != pinref::segment_error::none) return give_up(to_string(error));
///     send_descriptor(pool.descriptor());                        // the others call pool.attach(descriptor)
///     pinref::member me;
///     if (me.join(pool.memory()) != pinref::join_result::joined) give_up("no place is free");
///
/// Errors: `segment_error`. An object that has no segment has no memory: its members are null.
/// Memory order: a caller that attaches sees the segment as it was made.
/// Progress: system calls.
/// Source: memfd_create(2), fcntl(2) F_ADD_SEALS, madvise(2) MADV_DONTFORK.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>

#include "pinref/share/segment_stamp.hpp"
#include "pinref/sync/deadline.hpp"

namespace pinref::inline v0_1 {

/// May others cut the memory short?
enum class segment_seal : unsigned char {
  required,  ///< it must be sealed against that
  vouched,   ///< nobody will, says the host: the file is its own
};

/// The name of a value, as spelled above.
[[nodiscard]] constexpr const char* to_string(segment_seal seal) noexcept {
  return seal == segment_seal::vouched ? "vouched" : "required";
}

/// A mapped segment of `Traits`. Precondition of its end, and of close: no thread of the process is a member of it.
template <class Traits>
class basic_segment {
 public:
  /// What it is made of, and the descriptor of its pages.
  using traits = Traits;
  using page_type = shared_page<Traits>;

  basic_segment() noexcept = default;
  basic_segment(const basic_segment&) = delete;
  basic_segment& operator=(const basic_segment&) = delete;
  ~basic_segment() { close(); }

  /// Makes a segment in a memfd of its own, sealed against shrinking and growing. Its pages are free.
  [[nodiscard]] segment_error create(const segment_shape& shape, const char* name = "pinref") noexcept {
    if (base_ != nullptr) return segment_error::in_use;
    if (!segment_stamp::possible<Traits>(shape)) return segment_error::bad_shape;
    const int file = ::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (file < 0) return segment_error::refused;
    const segment_stamp stamp = segment_stamp::of<Traits>(shape);
    const bool made = ::ftruncate(file, static_cast<::off_t>(stamp.total)) == 0 &&
                      ::fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0 && map(file, stamp.total, true);
    if (!made) {
      ::close(file);
      return segment_error::refused;
    }
    descriptor_ = file;
    begin(stamp);
    return segment_error::none;
  }

  /// Makes a segment in `size` bytes at `memory`, zeroed, at a multiple of 4096, shared by all processes that are to
  /// attach. The memory stays the host's, which keeps children from inheriting it.
  [[nodiscard]] segment_error create(void* memory, std::size_t size, const segment_shape& shape) noexcept {
    if (base_ != nullptr) return segment_error::in_use;
    if (!segment_stamp::possible<Traits>(shape) || reinterpret_cast<std::uintptr_t>(memory) % 4096 != 0)
      return segment_error::bad_shape;
    const segment_stamp stamp = segment_stamp::of<Traits>(shape);
    if (size < stamp.total) return segment_error::too_small;
    base_ = static_cast<std::byte*>(memory);
    begin(stamp);
    return segment_error::none;
  }

  /// Maps the segment in a file, of which it keeps a descriptor of its own.
  [[nodiscard]] segment_error attach(int file, segment_seal seal = segment_seal::required) noexcept {
    return map_and_judge(file, seal, true);
  }
  /// The same to look at: a process that writes to it is killed. It cannot be joined.
  [[nodiscard]] segment_error attach_read_only(int file, segment_seal seal = segment_seal::required) noexcept {
    return map_and_judge(file, seal, false);
  }
  /// Uses the segment that somebody has made in `size` bytes at `memory`.
  [[nodiscard]] segment_error attach(void* memory, std::size_t size) noexcept {
    if (base_ != nullptr) return segment_error::in_use;
    if (size < sizeof(beginning)) return segment_error::too_small;
    if (reinterpret_cast<std::uintptr_t>(memory) % 4096 != 0) return segment_error::bad_shape;
    segment_stamp stamp;
    const segment_error error = judge(*static_cast<const beginning*>(memory), size, stamp);
    if (error == segment_error::none) {
      base_ = static_cast<std::byte*>(memory);
      find(stamp);
    }
    return error;
  }

  /// Ends the mapping.
  void close() noexcept {
    if (mapped_ != 0) ::munmap(base_, mapped_);
    if (descriptor_ >= 0) ::close(descriptor_);
    base_ = nullptr;
    mapped_ = 0;
    descriptor_ = -1;
    memory_ = {};
    shape_ = {};
    at_ = {};
  }

  /// What members, recovery and questions work on.
  [[nodiscard]] const ledger_memory<Traits>& memory() const noexcept { return memory_; }
  [[nodiscard]] const segment_shape& shape() const noexcept { return shape_; }
  /// Of the file, or -1. It stays the segment's.
  [[nodiscard]] int descriptor() const noexcept { return descriptor_; }

  /// The descriptor of a page. Precondition: i is below the number of pages, here and below.
  [[nodiscard]] page_type& page(std::uint32_t i) const noexcept { return memory_.pages[i]; }
  /// The memory of a page, if the segment has it.
  [[nodiscard]] std::byte* data(std::uint32_t i) const noexcept {
    return base_ + at_.frames + std::uint64_t{i} * shape_.page_size;
  }
  /// Where the memory of a page is in the file.
  [[nodiscard]] std::uint64_t offset_of(std::uint32_t i) const noexcept {
    return at_.frames + std::uint64_t{i} * shape_.page_size;
  }
  /// The part of the host, zeroed when the segment was made.
  [[nodiscard]] std::byte* user() const noexcept { return base_ + at_.user; }

  /// Free pages, at no particular instant.
  [[nodiscard]] std::uint32_t nr_free() const noexcept {
    std::uint32_t n = 0;
    for (std::uint32_t i = 0; i <= (shape_.pages - 1) / 64 && base_ != nullptr; ++i)
      n += static_cast<std::uint32_t>(std::popcount(memory_.free[i].load(std::memory_order_relaxed)));
    return n;
  }

  /// Sets the clock of the segment, by which it is told since when a page is held. Somebody calls it now and then: what
  /// is taken between two calls has the time of the first.
  void tick() noexcept {
    memory_.head->now.store(static_cast<std::uint64_t>(pinref::monotonic_now() / 1'000'000), std::memory_order_relaxed);
  }

 private:
  using sync = typename Traits::sync;
  struct beginning {
    segment_stamp stamp;
    typename sync::template atomic<std::uint32_t> made{0};
  };
  static_assert(sizeof(beginning) <= 256);

  // Copies the stamp, and judges the copy.
  [[nodiscard]] static segment_error judge(const beginning& at, std::uint64_t size, segment_stamp& stamp) noexcept {
    // (L29) pairs with (L30): acquire, so that the segment is seen as it was made.
    const std::uint32_t made = at.made.load(std::memory_order_acquire);
    stamp = at.stamp;
    // Nothing but zeros: somebody is making it, or has died over it.
    if (stamp.magic == 0 && made == 0 && size >= sizeof(beginning)) return segment_error::torn;
    const segment_error error = stamp.template judge<Traits>(size);
    return error == segment_error::none && made == 0 ? segment_error::torn : error;
  }

  [[nodiscard]] segment_error map_and_judge(int file, segment_seal seal, bool writable) noexcept {
    if (base_ != nullptr) return segment_error::in_use;
    struct ::stat it {};
    if (::fstat(file, &it) != 0) return segment_error::refused;
    const auto size = static_cast<std::uint64_t>(it.st_size);
    if (size < sizeof(beginning)) return segment_error::too_small;
    const int seals = ::fcntl(file, F_GET_SEALS);
    if (seal == segment_seal::required && (seals < 0 || (seals & F_SEAL_SHRINK) == 0)) return segment_error::not_sealed;
    const int mine = ::fcntl(file, F_DUPFD_CLOEXEC, 0);
    if (mine < 0) return segment_error::refused;
    // The first page alone, until it is known what it is.
    segment_error error = segment_error::refused;
    segment_stamp stamp;
    if (map(mine, 4096 < size ? 4096 : size, false)) {
      error = judge(*reinterpret_cast<const beginning*>(base_), size, stamp);
      ::munmap(base_, mapped_);
      base_ = nullptr;
      mapped_ = 0;
    }
    if (error == segment_error::none && !map(mine, stamp.total, writable)) error = segment_error::refused;
    if (error != segment_error::none) {
      ::close(mine);
      return error;
    }
    descriptor_ = mine;
    find(stamp);
    memory_.writable = writable;
    return segment_error::none;
  }

  [[nodiscard]] bool map(int file, std::uint64_t size, bool writable) noexcept {
    const auto length = static_cast<std::size_t>(size);
    void* const at = ::mmap(nullptr, length, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, file, 0);
    if (at == MAP_FAILED) return false;
    if (::madvise(at, length, MADV_DONTFORK) != 0) {
      ::munmap(at, length);
      return false;
    }
    base_ = static_cast<std::byte*>(at);
    mapped_ = length;
    return true;
  }

  // Makes the parts in zeroed memory.
  void begin(const segment_stamp& stamp) noexcept {
    auto* const at = ::new (base_) beginning{};
    find(stamp);
    ::new (memory_.head) ledger_head<Traits>;
    memory_.head->recovering.init();
    for (unsigned i = 0; i != shape_.places; ++i) (::new (&memory_.places[i]) ledger_place<Traits>)->life.init();
    for (std::uint64_t i = 0; i != std::uint64_t{shape_.places} * shape_.slots; ++i)
      ::new (&memory_.slots[i]) ledger_slot<sync>;
    for (std::uint32_t i = 0; i != shape_.pages; ++i) ::new (&memory_.pages[i]) page_type;
    for (std::uint32_t i = 0; i != shape_.pages / 64 + 1; ++i) {
      const std::uint32_t left = shape_.pages - i * 64;
      ::new (&memory_.free[i]) typename sync::template atomic<std::uint64_t>(
          left >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << left) - 1);
    }
    tick();
    at->stamp = stamp;
    // (L30) pairs with (L29): release, so that the segment is seen as it was made.
    at->made.store(1, std::memory_order_release);
  }

  // Where the parts are, by a stamp that has been judged.
  void find(const segment_stamp& stamp) noexcept {
    shape_ = stamp.shape;
    at_ = segment_stamp::offsets_of<Traits>(shape_);
    memory_.head = reinterpret_cast<ledger_head<Traits>*>(base_ + at_.head);
    memory_.places = reinterpret_cast<ledger_place<Traits>*>(base_ + at_.places);
    memory_.slots = reinterpret_cast<ledger_slot<sync>*>(base_ + at_.slots);
    memory_.pages = reinterpret_cast<page_type*>(base_ + at_.pages);
    memory_.free = reinterpret_cast<typename sync::template atomic<std::uint64_t>*>(base_ + at_.free);
    memory_.nr_places = shape_.places;
    memory_.slots_per_place = shape_.slots;
    memory_.nr_pages = shape_.pages;
    memory_.writable = true;
  }

  std::byte* base_ = nullptr;
  std::size_t mapped_ = 0;
  int descriptor_ = -1;
  segment_shape shape_;
  segment_offsets at_{};
  ledger_memory<Traits> memory_;
};

/// A segment as the library ships it.
using segment = basic_segment<shared_traits>;

}  // namespace pinref::inline v0_1
