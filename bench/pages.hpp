// SPDX-License-Identifier: MIT
#pragma once

// Many page descriptors of one scheme, one cache line each.

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <random>

namespace bench {

/// For what runs in a measured loop. A call there pushes its return address, and the next locked instruction waits for
/// that store: a scheme would pay for the compiler's mood.
#define BENCH_INLINE [[gnu::always_inline]] inline

[[noreturn, gnu::cold, gnu::noinline]] inline void broken() {
  std::abort();
}

template <class Scheme>
struct alignas(64) slot {
  Scheme page;
  std::uint32_t key = 0;  // of the index, under which it is found
};

/// Memory in huge pages, where the system gives them. Asked for, so that no scheme gets them by luck alone.
class huge_memory {
 public:
  explicit huge_memory(std::size_t bytes) : size_((bytes + huge - 1) / huge * huge + huge) {
    mapped_ = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped_ == MAP_FAILED) broken();
    ::madvise(mapped_, size_, MADV_HUGEPAGE);
  }
  huge_memory(const huge_memory&) = delete;
  huge_memory& operator=(const huge_memory&) = delete;
  ~huge_memory() { ::munmap(mapped_, size_); }

  /// Where it starts: on the boundary of a huge page.
  [[nodiscard]] void* data() const noexcept {
    return reinterpret_cast<void*>((reinterpret_cast<std::uintptr_t>(mapped_) + huge - 1) / huge * huge);
  }

 private:
  static constexpr std::size_t huge = std::size_t{2} << 20;

  std::size_t size_;
  void* mapped_;
};

/// `n` live pages with one reference.
template <class Scheme>
class pages {
 public:
  explicit pages(std::size_t n)
      : n_(n), memory_(n * sizeof(slot<Scheme>)), slots_(static_cast<slot<Scheme>*>(memory_.data())) {
    for (std::size_t i = 0; i != n; ++i) (new (&slots_[i]) slot<Scheme>)->page.revive();
  }

  [[nodiscard]] std::size_t size() const noexcept { return n_; }
  [[nodiscard]] slot<Scheme>* data() noexcept { return slots_; }

 private:
  std::size_t n_;
  huge_memory memory_;
  slot<Scheme>* slots_;
};

/// One live page on a cache line that changes from run to run.
template <class Scheme>
class one_page {
 public:
  one_page() : all_(1024), page_(all_.data()[std::random_device{}() % all_.size()].page) {}
  [[nodiscard]] Scheme& operator*() noexcept { return page_; }

 private:
  pages<Scheme> all_;
  Scheme& page_;
};

/// A thread's own stream of page numbers.
class alignas(128) stream {
 public:
  void seed(std::uint64_t from) noexcept { state_ = from * 0x9e3779b97f4a7c15u + 1; }
  [[nodiscard]] BENCH_INLINE std::uint64_t next() noexcept {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return state_ >> 33;
  }

 private:
  std::uint64_t state_ = 1;
};

}  // namespace bench
