// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// Stackful coroutines on ucontext, annotated for AddressSanitizer.
///
/// When not to use it: by itself. It belongs to the engine.
///
/// Example:
///
///     fibers[1].make(&entry);
///     explorer::fiber::swap(fibers[0], fibers[1]);               // runs entry() until it swaps back

#include <ucontext.h>

#include <cstddef>
#include <cstdlib>
#include <memory>

#if defined(__SANITIZE_ADDRESS__)
#define PINREF_EXPLORER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PINREF_EXPLORER_ASAN 1
#endif
#endif

#ifdef PINREF_EXPLORER_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace explorer {

class fiber {
 public:
  /// Makes the fiber run entry() when next switched to. Whatever it ran before is abandoned: its
  /// frames are never unwound.
  void make(void (*entry)()) {
    if (!stack_) stack_ = std::make_unique<std::byte[]>(stack_size);
    bottom_ = stack_.get();
    size_ = stack_size;
#ifdef PINREF_EXPLORER_ASAN
    __asan_unpoison_memory_region(bottom_, size_);
#endif
    if (getcontext(&context_) != 0) std::abort();
    context_.uc_stack.ss_sp = stack_.get();
    context_.uc_stack.ss_size = stack_size;
    context_.uc_link = nullptr;
    entry_ = entry;
    makecontext(&context_, &fiber::run, 0);
  }

  static void swap(fiber& from, fiber& to) {
    from_ = &from;
    to_ = &to;
#ifdef PINREF_EXPLORER_ASAN
    __sanitizer_start_switch_fiber(&from.fake_stack_, to.bottom_, to.size_);
#endif
    swapcontext(&from.context_, &to.context_);
    arrived(from);
  }

 private:
  static constexpr std::size_t stack_size = 256 * 1024;

  static void run() {
    fiber& self = *to_;
    self.fake_stack_ = nullptr;
    arrived(self);
    self.entry_();
  }

  // The first arrival from the host's own stack is also how its bounds become known.
  static void arrived([[maybe_unused]] fiber& here) {
#ifdef PINREF_EXPLORER_ASAN
    __sanitizer_finish_switch_fiber(here.fake_stack_, &from_->bottom_, &from_->size_);
#endif
  }

  inline static fiber* from_ = nullptr;
  inline static fiber* to_ = nullptr;

  ucontext_t context_{};
  std::unique_ptr<std::byte[]> stack_;
  const void* bottom_ = nullptr;
  std::size_t size_ = 0;
  [[maybe_unused]] void* fake_stack_ = nullptr;
  void (*entry_)() = nullptr;
};

}  // namespace explorer
