// SPDX-License-Identifier: MIT
#pragma once

// What the host of two plug-ins gives to both, and what each plug-in does with it. A plug-in is a copy of the library.

#include <atomic>
#include <cstdint>

#include "pinref/host/sleeping_lock.hpp"
#include "pinref/observe/accounted_ref.hpp"
#include "pinref/observe/pin_accounts.hpp"
#include "pinref/pinref.hpp"
#include "pinref/protocols/layout_break.hpp"

namespace plugins {

// Everything waits on this process or, with shared_sync, on all that map the memory.
template <class Sync>
struct waited_on {
  pinref::page_ref<pinref::bias64, Sync> wide;
  pinref::page_ref<pinref::bias32, Sync> narrow;
  pinref::page_ref<pinref::split32, Sync> apart;
  pinref::layout_gate<Sync> gate;
  pinref::wait_canceller<Sync> stop;
  pinref::detail::sleeping_lock<Sync> lock;
};

struct counted;
struct find_accounts {
  pinref::pin_accounts<>& operator()(const void* word) const noexcept;
};
// Found from the word's address, which is that of the object.
struct counted {
  pinref::accounted_ref<pinref::page_ref<>, find_accounts> ref;
  pinref::pin_accounts<> accounts;
};
inline pinref::pin_accounts<>& find_accounts::operator()(const void* word) const noexcept {
  return const_cast<counted*>(static_cast<const counted*>(word))->accounts;
}

struct hot {
  pinref::hot_threads threads;
  pinref::hot_ref<>::slots counts{threads};
  pinref::hot_ref<> ref;
};

// What is waited for, and what ends the wait.
enum class what { wide, narrow, apart, idle, gate, lock, cancelled };
constexpr what all_waits[] = {what::wide, what::narrow, what::apart,    what::idle,
                              what::gate, what::lock,   what::cancelled};

struct functions {
  // 0, or 1 if the wait has not ended by what ends it.
  int (*wait)(waited_on<pinref::std_sync>&, what);
  int (*wait_shared)(waited_on<pinref::shared_sync>&, what);
  void (*prepare)(waited_on<pinref::std_sync>&);
  void (*prepare_shared)(waited_on<pinref::shared_sync>&);
  void (*end)(waited_on<pinref::std_sync>&, what);
  void (*end_shared)(waited_on<pinref::shared_sync>&, what);
  void (*pin_counted)(counted&, int times);
  void (*unpin_counted)(counted&, int times);
  bool (*make_hot)(hot&);
  int (*pin_hot)(hot&, int times);
  int (*unpin_hot)(hot&, int times);
  bool (*hot_is_pinned)(hot&);
  std::uint64_t (*make_exact)(hot&);
  void (*leave)(hot&);
};

}  // namespace plugins

extern "C" const plugins::functions* plugin();
